"""The rate limit of an endpoint: the generic cell rate algorithm (GCRA), exact and without timers.

One number is kept, the theoretical arrival time. The burst is what 20 ms of the rate hold, at
least one request, so that any second sees at most the rate plus that burst.
"""

from typing import Final

_BURST_MS: Final = 20.0


class RateLimit:
    """A rate in requests per second."""

    __slots__ = ("_arrival_ms", "_interval_ms", "_tolerance_ms", "per_second")

    def __init__(self, per_second: float, *, now_ms: int, starts_empty: bool = False) -> None:
        self.per_second = per_second
        self._interval_ms = 1_000.0 / per_second
        self._tolerance_ms = max(0.0, _BURST_MS - self._interval_ms)
        self._arrival_ms = float(now_ms)
        if starts_empty:
            self._arrival_ms += self._interval_ms + self._tolerance_ms

    def free_at_ms(self) -> float:
        """The moment from which on the next request may go."""
        return self._arrival_ms - self._tolerance_ms

    def take(self, now_ms: int) -> None:
        """Count a request that goes now."""
        self._arrival_ms = max(self._arrival_ms, float(now_ms)) + self._interval_ms
