"""Ids and sequence numbers: 26 base32 characters that sort by time; integers that hold their time.

An id is its kind, ``_`` and 26 characters of Crockford's base32 alphabet in lower case: 48 bits
of milliseconds since 1970, then 80 random bits, the layout of a ULID. Sorting ids sorts by time.

A sequence number (`seq`) is drawn in the one order in which transactions commit. Its upper bits
are the milliseconds of that moment, so that a time can be turned into a bound on `seq` without an
index on time; it never goes back even if the clock does.
"""

import re
from functools import lru_cache
from typing import Final, Literal

Kind = Literal["sub", "evt", "dlv", "att", "key", "rpl"]

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = [high + low for high in _ALPHABET for low in _ALPHABET]
_RANDOM_BITS: Final = 80
RANDOM_BYTES: Final = _RANDOM_BITS // 8
_SEQ_TIME_SHIFT: Final = 20
_SEQ_PER_MS: Final = 1 << _SEQ_TIME_SHIFT
_TIME_MS_MAX: Final = (1 << 43) - 1

PUBLIC_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
"""What publishers may use as `eventId` and `tenantId`."""


def encoded_id(kind: Kind, at_ms: int, random_bytes: bytes) -> str:
    """The id of this kind for a moment and 10 random bytes."""
    number = int.from_bytes(random_bytes)
    pairs = _PAIRS
    high, low = number >> 40, number & 0xFFFFFFFFFF
    return (
        f"{_beginning(kind, at_ms)}"
        f"{pairs[high >> 30]}{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}"
        f"{pairs[high & 1023]}{pairs[low >> 30]}{pairs[low >> 20 & 1023]}"
        f"{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )


@lru_cache(maxsize=256)
def _beginning(kind: Kind, at_ms: int) -> str:
    """What the ids of a kind begin with that are made in the same millisecond; often many."""
    pairs = _PAIRS
    return (
        f"{kind}_{pairs[at_ms >> 40]}{pairs[at_ms >> 30 & 1023]}{pairs[at_ms >> 20 & 1023]}"
        f"{pairs[at_ms >> 10 & 1023]}{pairs[at_ms & 1023]}"
    )


def lowest_id(kind: Kind, at_ms: int) -> str:
    """The lowest id of this kind made at or after a moment: the bound for lists by time."""
    return encoded_id(kind, min(max(at_ms, 0), (1 << 48) - 1), bytes(RANDOM_BYTES))


def id_made_at_ms(public_id: str) -> int:
    """The moment that stands in an id of ours."""
    number = 0
    for character in public_id[-26:]:
        number = number << 5 | _ALPHABET.index(character)
    return number >> _RANDOM_BITS


def next_seq(last_seq: int, now_ms: int) -> int:
    """The sequence number after `last_seq`; it carries the present moment unless that lies back."""
    return max(last_seq + 1, now_ms << _SEQ_TIME_SHIFT)


def lowest_seq(at_ms: int) -> int:
    """The lowest sequence number drawn at or after a moment."""
    return min(max(at_ms, 0), _TIME_MS_MAX) << _SEQ_TIME_SHIFT


def seq_drawn_at_ms(seq: int) -> int:
    """The moment at which a sequence number was drawn."""
    return seq >> _SEQ_TIME_SHIFT
