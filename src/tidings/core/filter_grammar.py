r"""How a content filter is written, and from that the filter itself.

A filter is an object; all of its members must hold. The name of a member is a path, with dots
between its segments (``\.`` is a dot within one, ``\\`` a backslash, ``\$`` a dollar sign at
the beginning), and its value says what is wanted there::

    {"total": {"$gte": 100}, "customer.country": {"$in": ["DE", "AT"]}, "express": true}

- a text, number, truth value, null or array: a value at the path is the same JSON;
- an object of operators: `$in`, `$gt`, `$gte`, `$lt`, `$lte`, `$prefix`, `$suffix` and `$contains`
  must hold for one and the same value at the path; `$exists`, `$not`, `$or` and `$and` speak of the
  path as a whole;
- an object without operators: a filter for an object at the path, one and the same.

`$not` with a filter, `$or` and `$and` with lists of filters may stand beside paths.
"""

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from tidings.core import exact_json, limits
from tidings.core.content_filter import (
    Condition,
    ContentFilter,
    at,
    compares,
    equals,
    every,
    is_one_of,
    no,
    present,
    some,
    text_passes,
    within,
)
from tidings.core.refusals import Fault

_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_TEXT_TESTS: Final[Mapping[str, Callable[[str], Callable[[str], bool]]]] = {
    "$prefix": lambda wanted: lambda text: text.startswith(wanted),
    "$suffix": lambda wanted: lambda text: text.endswith(wanted),
    "$contains": lambda wanted: lambda text: wanted in text,
}
OPERATORS: Final = ("$in", *_ORDERS, *_TEXT_TESTS, "$exists", "$not", "$or", "$and")
_ESCAPED: Final = ".\\$"


class _Wrong(Exception):
    """Something in a filter makes no sense; the pointer leads to it."""

    def __init__(self, pointer: str, why: str) -> None:
        super().__init__(why)
        self.fault = Fault(pointer, why)


def filter_fault(text: str) -> Fault | None:
    """The first thing that is wrong with a filter, or None; the pointer begins at the filter."""
    try:
        _filter_of(text)
    except _Wrong as wrong:
        return wrong.fault
    return None


@lru_cache(maxsize=4_096)
def content_filter(text: str) -> ContentFilter:
    """The filter that a text stands for, which must have passed `filter_fault`."""
    return ContentFilter(text, _filter_of(text))


def _filter_of(text: str) -> Condition:
    if len(text.encode("utf-8")) > limits.FILTER_BYTES_MAX:
        raise _Wrong("", f"a filter has at most {limits.FILTER_BYTES_MAX} bytes")
    try:
        value = exact_json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise _Wrong("", "it must be a JSON object") from None
    _measure(value)
    return present if value == {} else _filter(value, "")


def _measure(value: Any) -> None:
    """Refuse what is too large or too deep, before anything walks through it."""
    level, nodes, depth = [value], 0, 0
    while level:
        nodes += len(level)
        depth += 1
        if nodes > limits.FILTER_NODES_MAX:
            raise _Wrong("", f"a filter has at most {limits.FILTER_NODES_MAX} members and elements")
        if depth > limits.FILTER_DEPTH_MAX:
            raise _Wrong("", f"a filter is at most {limits.FILTER_DEPTH_MAX} levels deep")
        level = [
            inner
            for one in level
            if type(one) in (dict, list)
            for inner in (one.values() if type(one) is dict else one)
        ]


def _filter(value: Any, pointer: str) -> Condition:
    """A filter for an object."""
    if type(value) is not dict:
        raise _Wrong(pointer, "it must be a JSON object")
    if not value:
        raise _Wrong(pointer, "an empty object says nothing")
    conditions = []
    for name, wanted in value.items():
        place = f"{pointer}/{_escaped(name)}"
        if name == "$not":
            conditions.append(no(_filter(wanted, place)))
        elif name in ("$or", "$and"):
            parts = [_filter(one, f"{place}/{n}") for n, one in enumerate(_listed(wanted, place))]
            conditions.append(some(parts) if name == "$or" else every(parts))
        elif name.startswith("$"):
            raise _Wrong(place, _unknown(name, ("$not", "$or", "$and"), "beside paths"))
        else:
            conditions.append(_wanted(_path(name, place), wanted, place))
    return every(conditions)


def _wanted(path: tuple[str, ...], wanted: Any, pointer: str) -> Condition:
    """What is wanted at a path."""
    if type(wanted) is not dict:
        return at(path, equals(wanted))
    operators = [name for name in wanted if name.startswith("$")]
    if not operators:
        return at(path, within(_filter(wanted, pointer)))
    if len(operators) < len(wanted):
        raise _Wrong(pointer, "operators and paths cannot stand in one object; use $and")
    conditions = []
    tests = []
    for name, operand in wanted.items():
        place = f"{pointer}/{name}"
        if name == "$exists":
            if type(operand) is not bool:
                raise _Wrong(place, "$exists takes true or false")
            conditions.append(at(path, present) if operand else no(at(path, present)))
        elif name == "$not":
            conditions.append(no(_wanted(path, operand, place)))
        elif name in ("$or", "$and"):
            parts = [
                _wanted(path, one, f"{place}/{n}") for n, one in enumerate(_listed(operand, place))
            ]
            conditions.append(some(parts) if name == "$or" else every(parts))
        else:
            tests.append(_test(name, operand, place))
    if tests:
        conditions.append(at(path, every(tests)))
    return every(conditions)


def _test(name: str, operand: Any, pointer: str) -> Condition:
    """What an operator says about one value."""
    if name == "$in":
        return is_one_of(_listed(operand, pointer))
    if name in _ORDERS:
        if type(operand) is not str and not exact_json.is_number(operand):
            raise _Wrong(pointer, f"{name} takes a number or a text")
        return compares(_ORDERS[name], operand)
    if name in _TEXT_TESTS:
        if type(operand) is not str:
            raise _Wrong(pointer, f"{name} takes a text")
        return text_passes(_TEXT_TESTS[name](operand))
    raise _Wrong(pointer, _unknown(name, OPERATORS, "on a path"))


def _unknown(name: str, known: tuple[str, ...], where: str) -> str:
    shown = name if name.isascii() and name.isprintable() else "this"
    return f"{shown} is no operator {where}; there are {', '.join(known)}"


def _listed(value: Any, pointer: str) -> list[Any]:
    if type(value) is not list or not value:
        raise _Wrong(pointer, "it must be a list of at least one")
    return value


def _path(name: str, pointer: str) -> tuple[str, ...]:
    """The segments of a path."""
    segments = [""]
    characters = iter(name)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if not escaped or escaped not in _ESCAPED:
                raise _Wrong(pointer, "a backslash in a path stands before a dot, $ or backslash")
            segments[-1] += escaped
        elif character == ".":
            segments.append("")
        else:
            segments[-1] += character
    if not all(segments):
        raise _Wrong(pointer, "a path is made of names, separated by dots")
    if len(segments) > limits.FILTER_PATH_SEGMENTS_MAX:
        raise _Wrong(pointer, f"a path has at most {limits.FILTER_PATH_SEGMENTS_MAX} segments")
    return tuple(segments)


def _escaped(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
