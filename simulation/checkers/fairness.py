"""An endpoint that answers fast is served soon, whatever its neighbours do.

Soon is a few seconds, and what its own work takes in its share of the slots.
"""

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener
from simulation.plan import DISTURBING
from simulation.record import SeenSubscription

_WAIT_SECONDS_MAX = 5.0
_DISTURBANCE_SECONDS = 30.0
_UNFAIRNESS_MAX = 1.5
_SLOTS_MIN = 8


class Fairness(Checker):
    """Looks at new rows of endpoints that never fail and are never changed."""

    promise: ClassVar[str] = "a fast endpoint is served soon whatever its neighbours do"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._disturbed_at = -_DISTURBANCE_SECONDS
        self._waits: dict[int, float] = {}
        self._rows: dict[str, int] = {}
        self._answered: set[str] = set()
        self._tainted: set[str] = set()
        return {
            facts.Disturbed: self._disturbed,
            facts.LifeServes: self._life_serves,
            facts.SubscriptionStored: self._subscription_stored,
            facts.RowQueued: self._queued,
            facts.RowLeft: self._left,
            facts.Sent: self._sent,
            facts.Returned: self._returned,
        }

    def _disturbed(self, fact: facts.Disturbed) -> None:
        if fact.fault in DISTURBING:
            self._disturbed_at = self.record.now

    def _life_serves(self, _fact: facts.LifeServes) -> None:
        self._disturbed_at = self.record.now
        self._answered.clear()

    def _subscription_stored(self, fact: facts.SubscriptionStored) -> None:
        is_plain = fact.rate_limit_per_second is None and not fact.ordering_enabled
        history = self.record.subscriptions[fact.subscription_id].history
        if not is_plain or len(history) > 1:
            self._tainted.add(fact.subscription_id)

    def _queued(self, fact: facts.RowQueued) -> None:
        name = fact.subscription_id
        self._rows[name] = self._rows.get(name, 0) + 1
        # Of very few slots there are no shares to be had.
        is_fast = name in self._answered and self.record.plan.concurrency_max >= _SLOTS_MIN
        if is_fast and fact.round == 0 and name not in self._tainted:
            self._waits[fact.seq] = self.record.now

    def _left(self, fact: facts.RowLeft) -> None:
        self._rows[self.record.deliveries[self.record.row_named[fact.seq]].subscription_id] -= 1
        self._waits.pop(fact.seq, None)

    def _returned(self, fact: facts.Returned) -> None:
        wire = fact.wire
        if wire.is_success and (wire.returned_at or 0) - wire.at < 1:
            self._answered.add(wire.subscription_id)
        else:
            self._answered.discard(wire.subscription_id)
            self._tainted.add(wire.subscription_id)

    def _sent(self, fact: facts.Sent) -> None:
        since = self._waits.pop(fact.wire.row_seq, None)
        if since is None or fact.wire.subscription_id in self._tainted:
            return
        if since - self._disturbed_at < _DISTURBANCE_SECONDS or self._disturbed_at > since:
            return
        waited, may = self.record.now - since, self._may_wait(fact.wire.subscription_id, since)
        self.record.journal.counted["waits judged"] += 1
        self.expect(
            waited <= may,
            f"row {fact.wire.row_seq} of the fast {fact.wire.subscription_id} "
            f"waited for {waited:.1f} s, {may:.1f} s would be fair",
        )

    def _may_wait(self, name: str, since: float) -> float:
        """A moment, and the time for its own work before it in its share of the slots."""
        subscriptions = self.record.subscriptions
        own = subscriptions[name]
        busy = {
            one.tenant_id for one in subscriptions.values() if self._rows.get(one.subscription_id)
        }
        mates = [
            one
            for one in subscriptions.values()
            if one.tenant_id == own.tenant_id or _host(one) == _host(own)
        ]
        bounds = self.record.plan.bounds
        slots = min(
            self.record.plan.concurrency_max,
            bounds["HOST_CONCURRENCY_MAX"],
            bounds["ENDPOINT_CONCURRENCY_MAX"],
        )
        used = 0.0
        for wire in reversed(self.record.wires_to[name]):
            if wire.at < since:
                break
            used += (wire.returned_at or self.record.now) - wire.at
        share = slots / (len(busy | {own.tenant_id}) * len(mates))
        return _WAIT_SECONDS_MAX + _UNFAIRNESS_MAX * used / share


def _host(subscription: SeenSubscription) -> str | None:
    return urlsplit(subscription.committed.callback_url).hostname
