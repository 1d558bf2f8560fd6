"""A quiet endpoint that answers fast is served soon, whatever its neighbours do."""

from collections.abc import Mapping
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener

_WAIT_SECONDS_MAX = 5.0
_DISTURBANCE_SECONDS = 30.0
_DISTURBING = frozenset(
    {"commit_slow", "read_stale", "read_failed", "store_away", "disk_full", "io_error"}
    | {"database_busy", "commit_unknown", "clock_forward", "clock_back", "clock_drift"}
)
_QUIET_ROWS_MAX = 3
_SLOTS_MIN = 8


class Fairness(Checker):
    """Looks at new rows of endpoints that never fail and have little to do."""

    promise: ClassVar[str] = "a quiet endpoint is served soon whatever its neighbours do"

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
        if fact.fault in _DISTURBING:
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
        is_quiet = self._rows[name] <= _QUIET_ROWS_MAX and name in self._answered
        # Of very few slots there are no shares to be had.
        is_quiet &= self.record.plan.concurrency_max >= _SLOTS_MIN
        if is_quiet and fact.round == 0 and name not in self._tainted:
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
        waited = self.record.now - since
        if since - self._disturbed_at < _DISTURBANCE_SECONDS or self._disturbed_at > since:
            return
        self.record.journal.counted["quiet waits"] += 1
        self.expect(
            waited <= _WAIT_SECONDS_MAX,
            f"row {fact.wire.row_seq} of the quiet {fact.wire.subscription_id} "
            f"waited for {waited:.1f} s",
        )
