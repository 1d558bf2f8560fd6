"""A delivery lives by the table: final is final but for a replay, and every end has a cause."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from simulation.policies import waits_of
from simulation.record import SeenDelivery

_DAY_MS = 86_400_000
_SEQ_BITS_BELOW_TIME = 20
_FAILURES_BEFORE_OPEN = 10


class Lives(Checker):
    """Compares each delivery before and after a commit, and looks for what may have caused it."""

    promise: ClassVar[str] = "a delivery lives by the table"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._status: dict[str, str] = {}
        self._round: dict[str, int] = {}
        self._seq: dict[str, int] = {}
        self._touched: dict[str, None] = {}
        self._begun: set[str] = set()
        self._changed: list[facts.RowChanged] = []
        return {
            facts.RowQueued: self._queued,
            facts.RowChanged: self._row_changed,
            facts.RowLeft: self._left,
            facts.FinishedStored: self._stored,
            facts.FinishedErased: self._erased,
            facts.Committed: self._committed,
        }

    def _queued(self, fact: facts.RowQueued) -> None:
        self._touched[fact.delivery_id] = None
        self._begun.add(fact.delivery_id)
        self._seq[fact.delivery_id] = fact.seq
        before = self._round.get(fact.delivery_id)
        self.expect(
            fact.round == before + 1 if before is not None else fact.round in (0, 1),
            f"{fact.delivery_id} begins round {fact.round} after {before}",
        )
        self._round[fact.delivery_id] = fact.round

    def _row_changed(self, fact: facts.RowChanged) -> None:
        delivery = self.record.rows.get(fact.seq)
        if delivery is not None and fact.attempt_count in delivery.attempts:
            outcome = delivery.attempts[fact.attempt_count].outcome
            if outcome != "delivered" and fact.kept_due_at_ms is None:
                self._reached("attempt_failed")

    def _left(self, fact: facts.RowLeft) -> None:
        for name in self._named(fact.seq):
            self._touched[name] = None

    def _named(self, seq: int) -> list[str]:
        return [self.record.row_named[seq]]

    def _stored(self, fact: facts.FinishedStored) -> None:
        self._touched[fact.delivery_id] = None

    def _erased(self, fact: facts.FinishedErased) -> None:
        self._touched[fact.delivery_id] = None

    def _committed(self, _fact: facts.Committed) -> None:
        for name in self._touched:
            delivery = self.record.deliveries[name]
            before, after = self._status.get(name, "new"), self._status_of(delivery)
            if name in self._begun:
                # What began in this commit may have ended in it as well.
                self._judge(delivery, before, "pending")
                before = "pending"
            if before != after:
                self._judge(delivery, before, after)
            self._status[name] = after
        self._touched.clear()
        self._begun.clear()

    def _status_of(self, delivery: SeenDelivery) -> str:
        if delivery.row is not None:
            both = delivery.finished is None
            self.expect(both, f"{delivery.delivery_id} is unfinished and finished at once")
            return "pending"
        return "gone" if delivery.finished is None else delivery.finished.status

    def _judge(self, delivery: SeenDelivery, before: str, after: str) -> None:
        if after == "gone":
            is_erased = self.record.is_erased(delivery)
            self.expect(is_erased, f"{delivery.delivery_id}, {before}, vanished")
            return
        if before in ("new", "gone"):
            self.expect(after == "pending", f"{delivery.delivery_id} is born {after}")
            return
        if after == "pending":
            self.expect(
                before in ("delivered", "dead_lettered"),
                f"{delivery.delivery_id}, {before}, is pending again",
            )
            self._needs(self._was_replayed(delivery), delivery, "replayed")
            return
        finished = delivery.finished
        assert finished is not None
        self.expect(
            (finished.status == "dead_lettered") == (finished.reason is not None),
            f"{delivery.delivery_id} is {finished.status}, for the reason {finished.reason}",
        )
        if before == "pending":
            cause = finished.reason or finished.status
            explain: Callable[[SeenDelivery], str | None] = getattr(self, f"_why_{cause}")
            turn = explain(delivery)
            self.expect(turn, f"{delivery.delivery_id} ended as {cause}, and nothing explains it")
            self._reached(turn or "")
            return
        self.expect(
            (before, after) == ("dead_lettered", "cancelled"),
            f"{delivery.delivery_id}, {before}, became {after}",
        )
        self._needs(self._asked(delivery, "discard"), delivery, "discarded")

    def _needs(self, holds: object, delivery: SeenDelivery, turn: str) -> None:
        self.expect(holds, f"{delivery.delivery_id} was {turn}, and nobody asked for it")
        self._reached(turn)

    def _reached(self, turn: str) -> None:
        self.record.journal.counted[f"turn {turn}"] += 1

    # What explains an end: the turn that it was, or None.

    def _why_delivered(self, delivery: SeenDelivery) -> str | None:
        return "attempt_delivered" if self._last_outcome(delivery) == "delivered" else None

    def _why_attempts_exhausted(self, delivery: SeenDelivery) -> str | None:
        failed = self._last_outcome(delivery) in ("failed", "throttled", "blocked")
        return "last_attempt_failed" if failed else None

    def _why_gone(self, delivery: SeenDelivery) -> str | None:
        return "receiver_gone" if self._last_outcome(delivery) == "gone" else None

    def _why_subscription_disabled(self, delivery: SeenDelivery) -> str | None:
        seen = self.record.subscriptions[delivery.subscription_id]
        was_off = any(one.status == "disabled" for _, one in seen.history)
        return "subscription_disabled" if was_off else None

    def _why_endpoint_unavailable(self, delivery: SeenDelivery) -> str | None:
        seen = self.record.subscriptions[delivery.subscription_id]
        spans = [sum(waits_of(one.retry_policy)) for _, one in seen.history]
        queued_ms = self._seq[delivery.delivery_id] >> _SEQ_BITS_BELOW_TIME
        waited = self.record.clock.now_ms() - queued_ms >= min(spans) * 1_000
        failures = self._failures_in_a_row(delivery.subscription_id)
        return "held_too_long" if waited and failures >= _FAILURES_BEFORE_OPEN else None

    def _failures_in_a_row(self, subscription_id: str) -> int:
        """How many answers in a row, in the order in which they came back, were failures."""
        wires = self.record.wires_to[subscription_id]
        failures = 0
        for wire in sorted(wires, key=lambda wire: wire.returned_at or 0.0):
            if wire.answer is None or wire.answer.error_class == "internal":
                continue
            if not wire.is_success:
                failures += 1
            elif self._is_remembered(wire):
                failures = 0
        return failures

    def _is_remembered(self, wire: facts.Wire) -> bool:
        """Whether an answer did not die with a process that had not recorded it."""
        return wire.life == self.record.life.number or self.record.has_attempt(wire)

    def _why_expired(self, delivery: SeenDelivery) -> str | None:
        retention_ms = self.record.plan.retention_days * _DAY_MS
        kept_ms = retention_ms - min(_DAY_MS, retention_ms / 2)
        accepted_ms = delivery.event_seq >> _SEQ_BITS_BELOW_TIME
        return "expired" if self.record.clock.now_ms() - accepted_ms >= kept_ms else None

    def _why_cancelled(self, delivery: SeenDelivery) -> str | None:
        if self.record.events[delivery.event_seq].emptied_in is not None:
            return "data_erased"
        if self.record.subscriptions[delivery.subscription_id].committed.status == "deleted":
            return "subscription_deleted"
        return "cancelled" if self._asked(delivery, "cancel") else None

    def _last_outcome(self, delivery: SeenDelivery) -> str:
        last = delivery.attempts.get(max(delivery.attempts, default=0))
        return "" if last is None else last.outcome

    def _asked(self, delivery: SeenDelivery, verb: str) -> bool:
        return any(call.verb == verb for call in self.record.calls_about[delivery.delivery_id])

    def _was_replayed(self, delivery: SeenDelivery) -> bool:
        if self._asked(delivery, "retry") or self._asked(delivery, "replay_dead"):
            return True
        event = self.record.events[delivery.event_seq]
        of_event = self.record.calls_about[event.event_id]
        of_subscription = self.record.calls_about[delivery.subscription_id]
        return any(call.verb == "replay_event" for call in of_event) or any(
            call.verb == "replay_many" for call in of_subscription
        )
