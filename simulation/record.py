"""The record: the facts put together by subscription, event, delivery and request.

It is what an attentive outsider would write down. Checkers share it, and each judges it by a model
of its own.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from simulation import facts
from simulation.chance import VirtualClock
from simulation.journal import Journal, Listener
from simulation.plan import Plan
from simulation.virtual_loop import Timeline


class SeenSubscription(msgspec.Struct):
    """A subscription: as it stands in the table, and as the process was told that it does."""

    subscription_id: str
    tenant_id: str
    committed: facts.SubscriptionStored
    told: facts.SubscriptionStored
    history: list[tuple[float, facts.SubscriptionStored]]
    is_erased: bool = False


class SeenEvent(msgspec.Struct):
    """An event."""

    seq: int
    tenant_id: str
    event_id: str
    event_type: str
    ordering_key: str | None
    body: bytes
    at: float
    wanted_by: frozenset[str] = frozenset()
    emptied_in: int | None = None
    is_erased: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it is a lifecycle event."""
        return self.event_type.startswith("tidings.")


class SeenDelivery(msgspec.Struct):
    """A delivery: its row while it is unfinished, its end, its attempts, its requests."""

    delivery_id: str
    subscription_id: str
    event_seq: int
    row: facts.RowQueued | None = None
    row_at: float = 0.0
    left_in: int | None = None
    finished: facts.FinishedStored | None = None
    attempts: dict[int, facts.AttemptStored] = {}
    wires: list[facts.Wire] = []
    is_erased: bool = False


class Life(msgspec.Struct):
    """One life of the process."""

    number: int
    began_at: float
    serves_at: float | None = None
    ended_at: float | None = None
    how: str = ""


class Record:
    """Everything seen so far."""

    def __init__(
        self, plan: Plan, timeline: Timeline, clock: VirtualClock, journal: Journal
    ) -> None:
        self.plan = plan
        self.journal = journal
        self.clock = clock
        self.subscriptions: dict[str, SeenSubscription] = {}
        self.subscription_at: dict[str, str] = {}
        self.events: dict[int, SeenEvent] = {}
        self.event_named: dict[tuple[str, str], SeenEvent] = {}
        self.deliveries: dict[str, SeenDelivery] = {}
        self.delivery_of: dict[tuple[str, int], SeenDelivery] = {}
        self.rows: dict[int, SeenDelivery] = {}
        self.row_named: dict[int, str] = {}
        self.calls: list[facts.Call] = []
        self.calls_about: defaultdict[str, list[facts.Call]] = defaultdict(list)
        self.calls_of: defaultdict[tuple[str, str], list[facts.Call]] = defaultdict(list)
        self.lives: list[Life] = []
        self.wires: list[facts.Wire] = []
        self.wires_to: defaultdict[str, list[facts.Wire]] = defaultdict(list)
        self.in_flight: dict[int, facts.Wire] = {}
        self.commits = 0
        self.commits_told = 0
        self.healed_at: float | None = None
        self.replays_unfinished: set[str] = set()
        self._uncommitted: list[facts.SubscriptionStored] = []
        self._untold: deque[tuple[int, facts.SubscriptionStored]] = deque()
        self._timeline = timeline
        journal.listen(self._hears())

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self._timeline.now

    @property
    def life(self) -> Life:
        """The present life, or the last one."""
        return self.lives[-1]

    def has_attempt(self, wire: facts.Wire) -> bool:
        """Whether the attempt that a request belonged to is on record."""
        delivery = self.deliveries.get(wire.delivery_id)
        return delivery is not None and any(
            attempt.started_at_ms == wire.wall_ms for attempt in delivery.attempts.values()
        )

    def is_told(self, commit: int | None) -> bool:
        """Whether the present process knows of a commit."""
        return commit is not None and commit <= self.commits_told

    def is_erased(self, delivery: SeenDelivery) -> bool:
        """Whether a delivery was erased with its event, or with its tenant."""
        event = self.events[delivery.event_seq]
        subscription = self.subscriptions[delivery.subscription_id]
        erased = self.calls_of[("erase_tenant", subscription.tenant_id)]
        return event.is_erased or subscription.is_erased or bool(erased)

    def unfinished(self) -> Iterator[SeenDelivery]:
        """The deliveries whose row stands in the queue."""
        yield from self.rows.values()

    def _hears(self) -> Mapping[type[facts.Fact], Listener]:
        return {
            facts.SubscriptionStored: self._subscription_stored,
            facts.SubscriptionErased: self._subscription_erased,
            facts.EventStored: self._event_stored,
            facts.EventEmptied: self._event_emptied,
            facts.EventErased: self._event_erased,
            facts.RowQueued: self._row_queued,
            facts.RowChanged: self._row_changed,
            facts.RowLeft: self._row_left,
            facts.FinishedStored: self._finished_stored,
            facts.FinishedErased: self._finished_erased,
            facts.AttemptStored: self._attempt_stored,
            facts.ReplayStored: self._replay_stored,
            facts.ReplayErased: self._replay_erased,
            facts.Committed: self._committed,
            facts.CommitTold: self._commit_told,
            facts.Sent: self._sent,
            facts.Returned: self._flown,
            facts.GivenUp: self._flown,
            facts.Asked: self._asked,
            facts.LifeBegan: self._life_began,
            facts.LifeServes: self._life_serves,
            facts.LifeEnded: self._life_ended,
            facts.Healed: self._healed,
        }

    def _subscription_stored(self, fact: facts.SubscriptionStored) -> None:
        seen = self.subscriptions.get(fact.subscription_id)
        if seen is None:
            seen = SeenSubscription(fact.subscription_id, fact.tenant_id, fact, fact, [])
            self.subscriptions[fact.subscription_id] = seen
        seen.committed = fact
        seen.history.append((self.now, fact))
        seen.is_erased = False
        self.subscription_at[fact.callback_url] = fact.subscription_id
        self._uncommitted.append(fact)

    def _subscription_erased(self, fact: facts.SubscriptionErased) -> None:
        self.subscriptions[fact.subscription_id].is_erased = True

    def _event_stored(self, fact: facts.EventStored) -> None:
        seen = SeenEvent(
            fact.seq,
            fact.tenant_id,
            fact.event_id,
            fact.event_type,
            fact.ordering_key,
            fact.body,
            self.now,
        )
        self.events[fact.seq] = seen
        self.event_named[fact.tenant_id, fact.event_id] = seen

    def _event_emptied(self, fact: facts.EventEmptied) -> None:
        self.events[fact.seq].emptied_in = self.commits + 1

    def _event_erased(self, fact: facts.EventErased) -> None:
        self.events[fact.seq].is_erased = True

    def _row_queued(self, fact: facts.RowQueued) -> None:
        seen = self.deliveries.get(fact.delivery_id)
        if seen is None:
            seen = SeenDelivery(fact.delivery_id, fact.subscription_id, fact.event_seq)
            self.deliveries[fact.delivery_id] = seen
            self.delivery_of[fact.subscription_id, fact.event_seq] = seen
        seen.row, seen.row_at, seen.left_in = fact, self.now, None
        self.rows[fact.seq] = seen
        self.row_named[fact.seq] = fact.delivery_id

    def _row_changed(self, fact: facts.RowChanged) -> None:
        row = self.rows[fact.seq].row
        assert row is not None
        self.rows[fact.seq].row = msgspec.structs.replace(
            row,
            attempt_count=fact.attempt_count,
            due_at_ms=fact.due_at_ms,
            kept_due_at_ms=fact.kept_due_at_ms,
        )

    def _row_left(self, fact: facts.RowLeft) -> None:
        seen = self.rows.pop(fact.seq)
        seen.row, seen.left_in = None, self.commits + 1

    def _finished_stored(self, fact: facts.FinishedStored) -> None:
        self.deliveries[fact.delivery_id].finished = fact

    def _finished_erased(self, fact: facts.FinishedErased) -> None:
        self.deliveries[fact.delivery_id].finished = None

    def _attempt_stored(self, fact: facts.AttemptStored) -> None:
        self.deliveries[fact.delivery_id].attempts[fact.number] = fact

    def _replay_stored(self, fact: facts.ReplayStored) -> None:
        if fact.finished_at_ms is None:
            self.replays_unfinished.add(fact.replay_id)
        else:
            self.replays_unfinished.discard(fact.replay_id)

    def _replay_erased(self, fact: facts.ReplayErased) -> None:
        self.replays_unfinished.discard(fact.replay_id)

    def _committed(self, fact: facts.Committed) -> None:
        self.commits = fact.number
        self._untold.extend((fact.number, stored) for stored in self._uncommitted)
        self._uncommitted.clear()

    def _commit_told(self, fact: facts.CommitTold) -> None:
        self.commits_told = max(self.commits_told, fact.number)
        while self._untold and self._untold[0][0] <= fact.number:
            _, stored = self._untold.popleft()
            self.subscriptions[stored.subscription_id].told = stored

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        self.wires.append(wire)
        self.in_flight[wire.number] = wire
        wire.subscription_id = self.subscription_at.get(wire.url, "")
        if not wire.subscription_id:
            return
        self.wires_to[wire.subscription_id].append(wire)
        tenant_id = self.subscriptions[wire.subscription_id].tenant_id
        event = self.event_named.get((tenant_id, wire.webhook_id))
        if event is None:
            return
        delivery = self.delivery_of.get((wire.subscription_id, event.seq))
        if delivery is None:
            return
        delivery.wires.append(wire)
        wire.delivery_id = delivery.delivery_id
        if delivery.row is not None:
            wire.row_seq = delivery.row.seq
            wire.is_manual = delivery.row.kept_due_at_ms is not None
            wire.ordering_key = delivery.row.ordering_key

    def _flown(self, fact: Any) -> None:
        self.in_flight.pop(fact.wire.number, None)

    def _asked(self, fact: facts.Asked) -> None:
        self.calls.append(fact.call)
        self.calls_of[fact.call.verb, fact.call.tenant_id].append(fact.call)
        for about in fact.call.about.values():
            if isinstance(about, str):
                self.calls_about[about].append(fact.call)

    def _life_began(self, fact: facts.LifeBegan) -> None:
        self.lives.append(Life(fact.life, self.now))
        # What is committed is what a new process reads at its start.
        self._commit_told(facts.CommitTold(self.commits))

    def _life_serves(self, _fact: facts.LifeServes) -> None:
        self.life.serves_at = self.now

    def _life_ended(self, fact: facts.LifeEnded) -> None:
        self.life.ended_at = self.now
        self.life.how = fact.how
        self.in_flight.clear()

    def _healed(self, _fact: facts.Healed) -> None:
        self.healed_at = self.now
