"""How often endpoints may be tried by hand, so that nobody makes a scanner or a hammer of us.

A trial counts for the tenant that asks for it and for the host that it goes to, whatever the port
and the path, and as long as it is on its way also against a bound for all of them.
"""

from typing import Final
from urllib.parse import urlsplit

from tidings.core import limits
from tidings.core.rate import Rates

_MINUTE_MS: Final = 60_000


def host_of(callback_url: str) -> str:
    """The host that a callback URL leads to: its name or address without the port."""
    return (urlsplit(callback_url).hostname or "").removesuffix(".")


class TrialLimits:
    """The trials of one kind: how many went lately, and how many are on their way. Mutable."""

    def __init__(self, per_minute: int) -> None:
        self._of_tenant = _rates(per_minute)
        self._of_host = _rates(per_minute * limits.TRIALS_OF_HOST_FACTOR)
        self._in_flight: dict[str, int] = {}
        self._all_in_flight = 0

    def begin(self, tenant_id: str, host: str, now_ms: float) -> float:
        """Count a trial that goes now, and answer 0; or answer how many milliseconds to wait.

        What began must be told to `end`. The tenant is asked first: one that has used up its own
        share does not use up that of a host, which is there for others too.
        """
        is_full = (
            self._all_in_flight >= limits.TRIALS_IN_FLIGHT_MAX
            or self._in_flight.get(host, 0) >= limits.TRIALS_IN_FLIGHT_OF_HOST_MAX
        )
        if is_full:
            return limits.TRIALS_FULL_RETRY_AFTER_MS
        wait_ms = self._of_tenant.take(tenant_id, now_ms) or self._of_host.take(host, now_ms)
        if wait_ms == 0:
            self._in_flight[host] = self._in_flight.get(host, 0) + 1
            self._all_in_flight += 1
        return wait_ms

    def end(self, host: str) -> None:
        """A trial is over."""
        self._all_in_flight -= 1
        self._in_flight[host] -= 1
        if not self._in_flight[host]:
            del self._in_flight[host]


def _rates(per_minute: int) -> Rates:
    return Rates(per_minute * 1_000 / _MINUTE_MS, burst_ms=_MINUTE_MS)
