"""Rates over the whole cluster, as the receiver sees them: the rate, and its burst of 20 ms.

A request may be late on its way, and the next one not, or overtake it. Where requests seem to come
too close together, the moments at which they left are looked up: Tidings says when each attempt
began. Between those of all processes together, the rate must hold to the millisecond.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Final, NamedTuple

from tests.cluster.world import Cluster
from tests.crashes.account import ms_of
from tests.crashes.receiver import Request

BURST_SECONDS: Final = 0.02
_ROUNDING_MS: Final = 4
_LOOKED_AT: Final = 400


class _Left(NamedTuple):
    """When a request left, as far as it is on record; else when it came."""

    at_ms: int
    request: Request


def too_fast(
    one: Cluster,
    requests: list[Request],
    delivery_ids: Mapping[tuple[str, str], str],
    strays: set[int],
) -> Iterator[str]:
    """Where a subscription got more than its rate and burst allow, in windows of any length.

    What a process let go before it ended or gave up may have come much later, and is left out.
    """
    by_path: dict[str, list[_Left]] = defaultdict(list)
    for request in requests:
        if request.path in one.rates and request.number not in strays:
            by_path[request.path].append(_Left(request.at_ms, request))
    for path, came in by_path.items():
        rate = one.rates[path]
        suspects = {
            request.number
            for first, last in _too_close(came, rate)
            for _, request in came[max(0, first - _LOOKED_AT) : last + 1]
        }
        if not suspects:
            continue
        left = sorted(
            _Left(_left_ms(one, each.request, delivery_ids), each.request)
            if each.request.number in suspects
            else each
            for each in came
        )
        for first, last in _too_close(left, rate):
            yield f"{last - first + 1} to {path} at {rate} a second: {left[first : last + 1]}"
            break


def _too_close(left: Sequence[_Left], rate: float) -> Iterator[tuple[int, int]]:
    """The first and last of each window that holds too many."""
    burst = max(1.0, rate * BURST_SECONDS)
    for last in range(len(left)):
        for back in range(ceil(burst), min(last, _LOOKED_AT) + 1):
            # Between n + 1 requests lie n intervals, less what the burst lets through at once.
            least_ms = (back + 1 - burst) / rate * 1_000 - _ROUNDING_MS
            if left[last].at_ms - left[last - back].at_ms < least_ms:
                yield last - back, last


def _left_ms(one: Cluster, request: Request, delivery_ids: Mapping[tuple[str, str], str]) -> int:
    path = f"/deliveries/{delivery_ids[request.path, request.event_id]}"
    for attempt in one.server.call("GET", path)["attempts"]:
        if attempt["responseBody"] == str(request.number):
            return ms_of(attempt["startedAt"])
    return request.at_ms
