"""When to try again, or to give up.

A policy is a list of waits. Each wait runs from the end of the attempt before it and is spread by
up to 20 % either way, so that deliveries which failed together do not come back together.
"""

import math
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from tidings.core import limits

JITTER_SHARE: Final = 0.2
_DELTA_DIGITS_MAX: Final = 12
_DEFAULT_WAITS_SECONDS: Final = (
    5.0,
    300.0,
    1_800.0,
    7_200.0,
    18_000.0,
    36_000.0,
    50_400.0,
    72_000.0,
    86_400.0,
)


@dataclass(frozen=True, slots=True)
class Exponential:
    """The policy written as a formula: the first wait, its growth, its ceiling, the attempts."""

    initial_seconds: float
    factor: float
    max_seconds: float
    max_attempts: int

    def waits(self) -> tuple[float, ...]:
        """The waits that the formula stands for, in seconds."""
        return tuple(self._wait(number) for number in range(self.max_attempts - 1))

    def _wait(self, number: int) -> float:
        try:
            grown = self.initial_seconds * self.factor**number
        except OverflowError:
            grown = math.inf
        return max(limits.RETRY_WAIT_SECONDS_MIN, min(grown, self.max_seconds))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The waits between attempts, in seconds; `formula` remembers how the subscriber wrote them."""

    waits_seconds: tuple[float, ...]
    formula: Exponential | None = None

    @classmethod
    def from_formula(cls, formula: Exponential) -> "RetryPolicy":
        """The policy that a formula stands for."""
        return cls(formula.waits(), formula)

    @property
    def attempts_max(self) -> int:
        """How many attempts a round has."""
        return len(self.waits_seconds) + 1

    @property
    def span_ms(self) -> int:
        """From the first attempt to the last, without jitter and without what attempts take."""
        return round(sum(self.waits_seconds) * 1_000)


DEFAULT_RETRY_POLICY: Final = RetryPolicy(_DEFAULT_WAITS_SECONDS)


def next_attempt_at_ms(
    policy: RetryPolicy, attempts_made: int, *, now_ms: int, jitter: float
) -> int | None:
    """When the next attempt is due after `attempts_made` of a round; None when it was the last.

    `jitter` lies between 0 and 1 and picks a place within the spread.
    """
    if attempts_made > len(policy.waits_seconds):
        return None
    wait_ms = policy.waits_seconds[attempts_made - 1] * 1_000
    return now_ms + round(wait_ms * (1 - JITTER_SHARE + 2 * JITTER_SHARE * jitter))


def retry_after_ms(value: str | None, *, now_ms: int) -> int | None:
    """The moment that a ``Retry-After`` asks for, at most 24 h away; None for nonsense or the past.

    The header holds seconds or an HTTP date (RFC 9110 section 10.2.3).
    """
    if value is None:
        return None
    text = value.strip(" \t")
    if text.isascii() and text.isdigit() and len(text) <= _DELTA_DIGITS_MAX:
        asked_ms = now_ms + int(text) * 1_000
    else:
        try:
            moment = parsedate_to_datetime(text)
            # A date without a zone, such as the old form of asctime, is in UTC, not in ours.
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            asked_ms = round(moment.timestamp() * 1_000)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    if asked_ms <= now_ms:
        return None
    return min(asked_ms, now_ms + limits.RETRY_AFTER_MS_MAX)
