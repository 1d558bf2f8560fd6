"""JSON as values of which no number has lost anything, and when two of them are the same.

Whole numbers are `int`, all others `Decimal`, so that 9007199254740993 and 0.10 stay what they are
where a float would round them. Of members that stand twice in one object the last one counts.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

_ZERO = Decimal(0)


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        # Exponents of twenty digits: what overflows was refused before, so this one is next to 0.
        return _ZERO


decode = msgspec.json.Decoder(float_hook=_number).decode
"""The value in a JSON text. Raises `msgspec.DecodeError` for what is none."""


def is_number(value: Any) -> bool:
    """Whether it is a number; truth values are none."""
    return type(value) is int or type(value) is Decimal


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1 and 1.0 are, 1 and true are not."""
    if type(one) is list:
        return (
            type(other) is list
            and len(one) == len(other)
            and all(equal(left, right) for left, right in zip(one, other, strict=True))
        )
    if type(one) is dict:
        return (
            type(other) is dict
            and one.keys() == other.keys()
            and all(equal(value, other[name]) for name, value in one.items())
        )
    if is_number(one):
        return is_number(other) and bool(one == other)
    return type(one) is type(other) and bool(one == other)
