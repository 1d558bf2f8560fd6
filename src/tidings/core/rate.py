"""Rate limits: the generic cell rate algorithm (GCRA), exact and without timers.

One number is kept, the theoretical arrival time. The burst is what `burst_ms` of the rate hold, at
least one request, so that any second sees at most the rate plus that burst. For an endpoint that
are 20 ms.
"""

from typing import Final

_BURST_MS: Final = 20.0
_TIDIED_FROM: Final = 1_000


class RateLimit:
    """A rate in requests per second."""

    __slots__ = ("_arrival_ms", "_interval_ms", "_tolerance_ms", "per_second")

    def __init__(
        self,
        per_second: float,
        *,
        now_ms: float,
        starts_empty: bool = False,
        burst_ms: float = _BURST_MS,
    ) -> None:
        self.per_second = per_second
        self._interval_ms = 1_000.0 / per_second
        self._tolerance_ms = max(0.0, burst_ms - self._interval_ms)
        self._arrival_ms = float(now_ms)
        if starts_empty:
            self._arrival_ms += self._interval_ms + self._tolerance_ms

    def free_at_ms(self) -> float:
        """The moment from which on the next request may go."""
        return self._arrival_ms - self._tolerance_ms

    def take(self, now_ms: float) -> None:
        """Count a request that goes now."""
        self._arrival_ms = max(self._arrival_ms, float(now_ms)) + self._interval_ms

    def fall_behind(self, other: "RateLimit") -> None:
        """Let nothing go sooner than another limit of the same rate does."""
        self._arrival_ms = max(self._arrival_ms, other._arrival_ms)  # noqa: SLF001 - its own kind

    def clock_put_back(self, by_ms: float, now_ms: float) -> None:
        """Wait no longer than one does that was used up a moment ago, however late it was before.

        Where the clock stood in between nobody knows, so this is never too soon. What went beyond
        the rate, as people may, is still to be waited for.
        """
        used_up_ms = now_ms + self._interval_ms + self._tolerance_ms
        self._arrival_ms = min(self._arrival_ms, max(used_up_ms, self._arrival_ms - by_ms))

    def is_idle(self, now_ms: float) -> bool:
        """Whether it is as good as a new one."""
        return self._arrival_ms <= now_ms


class Rates:
    """The same rate limit for each of many by itself, such as keys or tenants.

    Only those are remembered that used theirs lately.
    """

    def __init__(self, per_second: float, *, burst_ms: float) -> None:
        self._per_second = per_second
        self._burst_ms = burst_ms
        self._limits: dict[str, RateLimit] = {}
        self._tidied_at_size = _TIDIED_FROM

    def __len__(self) -> int:
        return len(self._limits)

    def take(self, name: str, now_ms: float) -> float:
        """Count one that goes now, and answer 0; or answer in how many milliseconds one may go."""
        limit = self._limits.get(name)
        if limit is None:
            limit = self._add(name, now_ms)
        wait_ms = limit.free_at_ms() - now_ms
        if wait_ms > 0:
            return wait_ms
        limit.take(now_ms)
        return 0.0

    def _add(self, name: str, now_ms: float) -> RateLimit:
        if len(self._limits) >= self._tidied_at_size:
            self._limits = {
                other: one for other, one in self._limits.items() if not one.is_idle(now_ms)
            }
            self._tidied_at_size = max(_TIDIED_FROM, 2 * len(self._limits))
        limit = RateLimit(self._per_second, now_ms=now_ms, burst_ms=self._burst_ms)
        self._limits[name] = limit
        return limit
