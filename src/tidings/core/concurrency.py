"""How many requests one endpoint gets at once: grows while it answers, is halved when it chokes.

The first contact is a single request. Then every success adds one until the first cut, after it
one for each full round (the additive increase and multiplicative decrease of TCP's congestion
control). A cut counts once for all requests that were on their way when it was made.
"""

from tidings.core import limits
from tidings.core.attempt import Outcome


class Concurrency:
    """The present limit of one endpoint."""

    __slots__ = ("_cut_at_ms", "_limit", "_threshold")

    def __init__(self) -> None:
        self._limit = 1.0
        self._threshold = float(limits.ENDPOINT_CONCURRENCY_MAX)
        self._cut_at_ms = -1

    @property
    def limit(self) -> int:
        """How many requests may be in flight."""
        return int(self._limit)

    def restart(self) -> None:
        """Begin with a single request again, as after an outage."""
        self._limit = 1.0

    def clock_put_back(self, now_ms: int) -> None:
        """Take what starts from here on for later than the last cut."""
        self._cut_at_ms = min(self._cut_at_ms, now_ms)

    def attempt_finished(
        self, outcome: Outcome, *, is_choking: bool, started_at_ms: int, now_ms: int
    ) -> None:
        """Learn from an attempt. `is_choking`: a timeout, a 429 or a 5xx."""
        if outcome is Outcome.DELIVERED:
            step = 1.0 if self._limit < self._threshold else 1.0 / self._limit
            self._limit = min(self._limit + step, float(limits.ENDPOINT_CONCURRENCY_MAX))
        elif is_choking and started_at_ms > self._cut_at_ms:
            self._threshold = max(self._limit / 2, 1.0)
            self._limit = self._threshold
            self._cut_at_ms = now_ms
