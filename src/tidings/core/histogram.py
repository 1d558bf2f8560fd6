"""How long attempts took, as a histogram with fixed bins, so that histograms can be added.

The first eight bins hold one millisecond each. From then on every doubling is cut into eight bins,
so that a bin is at most an eighth as wide as what it holds, and a percentile is off by a sixteenth
at most. What took longer than about 17 minutes counts as that.
"""

from collections.abc import Mapping
from typing import Final

_PARTS_BITS: Final = 3
_PARTS: Final = 1 << _PARTS_BITS
_LONGEST_MS: Final = (1 << 20) - 1

Bins = Mapping[int, int]
"""How many lie in each bin; empty bins are left out."""


def bin_of(milliseconds: int) -> int:
    """The bin that a duration belongs to."""
    if milliseconds < _PARTS:
        return max(milliseconds, 0)
    held = min(milliseconds, _LONGEST_MS)
    shift = held.bit_length() - 1 - _PARTS_BITS
    return (shift << _PARTS_BITS) + (held >> shift)


def middle_of(number: int) -> int:
    """The duration in the middle of a bin, in milliseconds."""
    if number < _PARTS:
        return number
    shift = (number >> _PARTS_BITS) - 1
    lowest = (_PARTS + (number & (_PARTS - 1))) << shift
    return lowest + ((1 << shift) - 1) // 2


def percentile_ms(bins: Bins, share: float) -> int | None:
    """The duration that this share of all stayed within; None of nothing.

    By nearest rank: with a share of 0.5 of four it is the second.
    """
    left = share * sum(bins.values())
    for number in sorted(bins):
        left -= bins[number]
        if left <= 0:
            return middle_of(number)
    return None
