"""Timestamps as RFC 3339 writes them, and milliseconds since 1970."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_TIMESTAMP: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

EARLIEST_MS: Final = -62_135_596_800_000
"""The beginning of year 1: no timestamp can be written of what was before."""


def format_timestamp(at_ms: int) -> str:
    """A moment in UTC with ``Z``; milliseconds are shown unless they are zero."""
    seconds, milliseconds = divmod(at_ms, 1_000)
    text = _format_seconds(seconds)
    return f"{text}.{milliseconds:03d}Z" if milliseconds else f"{text}Z"


@lru_cache(maxsize=256)
def _format_seconds(seconds: int) -> str:
    # Not by `strftime`, which writes the years before 1000 with fewer than four digits.
    return (_EPOCH + timedelta(seconds=seconds)).isoformat().removesuffix("+00:00")


def normalised_timestamp(text: str) -> str | None:
    """The same instant in UTC with ``Z``, its fraction kept as written; None if it is no timestamp.

    An offset is required, leap seconds are refused, and so are years outside 0001 to 9999.
    """
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, offset = found.groups()
    if offset in ("-00:00", "z", "Z"):
        offset = "+00:00"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moment.strftime('%Y').rjust(4, '0')}-{moment:%m-%dT%H:%M:%S}{fraction or ''}Z"


def timestamp_ms(text: str) -> int | None:
    """Milliseconds since 1970 of a timestamp, rounded down; None if it is none."""
    normalised = normalised_timestamp(text)
    if normalised is None:
        return None
    whole, _, fraction = normalised[:-1].partition(".")
    moment = datetime.fromisoformat(whole + "+00:00")
    return round((moment - _EPOCH).total_seconds()) * 1_000 + int(fraction[:3].ljust(3, "0") or "0")
