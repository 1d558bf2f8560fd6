"""A simple model of what the contract says of retries, written apart from the program's own."""

from datetime import UTC, datetime
from typing import Any

import msgspec

DEFAULT_WAITS = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
_DAY_MS = 86_400_000
_DATES = ("%a, %d %b %Y %H:%M:%S GMT", "%a, %d %b %Y %H:%M:%S")


def waits_of(stored: str | None) -> tuple[float, ...]:
    """The waits in seconds that a stored retry policy stands for."""
    if stored is None:
        return DEFAULT_WAITS
    policy: Any = msgspec.json.decode(stored)
    if isinstance(policy, list):
        return tuple(policy)
    first, factor, ceiling = policy["initial_seconds"], policy["factor"], policy["max_seconds"]
    count = policy["max_attempts"] - 1
    return tuple(max(0.1, min(first * factor**number, ceiling)) for number in range(count))


def asked_until_ms(retry_after: str | None, now_ms: int) -> int | None:
    """Until when a Retry-After asks us to wait; None when it asks for nothing."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        if len(retry_after) > 12:
            return None
        until_ms = now_ms + int(retry_after) * 1_000
    else:
        parsed = [_date_ms(retry_after, pattern) for pattern in _DATES]
        found = [one for one in parsed if one is not None]
        if not found:
            return None
        until_ms = found[0]
    return min(until_ms, now_ms + _DAY_MS) if until_ms > now_ms else None


def _date_ms(text: str, pattern: str) -> int | None:
    try:
        return round(datetime.strptime(text, pattern).replace(tzinfo=UTC).timestamp() * 1_000)
    except ValueError:
        return None


def outcome_of(status: int | None, error: str | None) -> str:
    """What the contract says that an answer means."""
    if status is None:
        if error == "internal":
            return "our_fault"
        return "blocked" if error == "blocked_address" else "failed"
    if 200 <= status < 300:
        return "delivered"
    if status == 410:
        return "gone"
    return "throttled" if status in (429, 502, 503, 504) else "failed"
