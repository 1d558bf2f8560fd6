"""A subscription's rate is never exceeded beyond its burst: what 20 ms of it hold, at least one."""

from collections import defaultdict, deque
from collections.abc import Mapping
from math import ceil
from typing import ClassVar

from simulation import facts
from simulation.checkers.checker import Checker
from simulation.journal import Listener

_BURST_SECONDS = 0.02
_TOLERANCE_SECONDS = 0.004
_DRIFT = 0.015
_LOOKED_AT = 400


class Rates(Checker):
    """Measures the time between requests to one subscription, however far apart in number."""

    promise: ClassVar[str] = "the rate is not exceeded beyond its burst"

    def hears(self) -> Mapping[type[facts.Fact], Listener]:
        """See `Checker`."""
        self._sent_at: defaultdict[str, deque[float]] = defaultdict(
            lambda: deque(maxlen=_LOOKED_AT)
        )
        self._rate: dict[str, float | None] = {}
        return {facts.Sent: self._sent, facts.Disturbed: self._disturbed}

    def _disturbed(self, fact: facts.Disturbed) -> None:
        if fact.fault == "clock_forward":
            # By its own clock the process has waited.
            self._sent_at.clear()

    def _sent(self, fact: facts.Sent) -> None:
        wire = fact.wire
        name = wire.subscription_id
        if not name or wire.is_manual:
            return
        seen = self.record.subscriptions[name]
        rate = seen.told.rate_limit_per_second
        times = self._sent_at[name]
        if rate is None or rate != self._rate.get(name):
            times.clear()
        self._rate[name] = rate
        times.append(wire.at)
        if rate is None:
            return
        burst = max(1.0, rate * _BURST_SECONDS)
        for back in range(ceil(burst), len(times)):
            took = times[-1] - times[-1 - back]
            # Between n + 1 requests lie n intervals, less what the burst lets through at once.
            least = (back + 1 - burst) / rate * (1 - _DRIFT) - _TOLERANCE_SECONDS
            if took >= least:
                continue
            self.broken(f"{back + 1} requests to {name} within {took:.3f} s, at {rate} a second")
