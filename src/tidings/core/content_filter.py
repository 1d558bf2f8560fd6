"""Content filters: what an event's `data` must hold for a subscription to get it.

A condition is a function of a value, so that a filter is put together once and then only asked.
Asking is total: it ends after a bounded number of steps and never raises, whatever the data are.
How a filter is written stands in `tidings.core.filter_grammar`.

A path leads through objects by the names of members. Where it meets an array, a segment of digits
is the place of one element, and any other segment is looked for in every element; and where it
ends at an array, the array itself and every element of it are values at the path.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from tidings.core import exact_json, limits
from tidings.core.event import data_of

_CHARACTERS_PER_STEP = 256


class FilterOutcome(StrEnum):
    """What came of asking a filter. Only the first lets an event through."""

    MATCH = "match"
    NO_MATCH = "no_match"
    TYPE_MISMATCH = "type_mismatch"
    TOO_COSTLY = "too_costly"


class _TooCostly(Exception):
    """The steps are used up."""


class Asking:
    """One question to one filter: the steps that are left, and what was met on the way."""

    __slots__ = ("has_mismatch", "steps_left")

    def __init__(self, steps_max: int) -> None:
        self.steps_left = steps_max
        self.has_mismatch = False

    def spend(self, steps: int = 1) -> None:
        """Use up steps. Ends the question when there are no more."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise _TooCostly


Condition = Callable[[Any, Asking], bool]
"""Whether a value meets a condition."""


class ContentFilter:
    """A filter made ready to be asked. `text` is how it was given, as JSON."""

    __slots__ = ("_condition", "text")

    def __init__(self, text: str, condition: Condition) -> None:
        self.text = text
        self._condition = condition

    def ask(self, data: Any, asking: Asking) -> FilterOutcome:
        """What the filter says to the data of an event."""
        try:
            if self._condition(data, asking):
                return FilterOutcome.MATCH
        except _TooCostly:
            return FilterOutcome.TOO_COSTLY
        return FilterOutcome.TYPE_MISMATCH if asking.has_mismatch else FilterOutcome.NO_MATCH


class EventData:
    """The data of one event as its filters see it, decoded when the first of them asks.

    Many subscriptions have the same filter, and it is asked once. With `is_body` the data stand
    within a frozen body, from which nobody copies them unless a filter asks.
    """

    __slots__ = ("_is_body", "_json", "_outcomes", "_value", "steps")

    def __init__(self, json: bytes, *, is_body: bool = False) -> None:
        self._json: bytes | None = json
        self._is_body = is_body
        self._value: Any = None
        self._outcomes: dict[str, FilterOutcome] = {}
        self.steps = 0

    def outcome(self, content_filter: ContentFilter) -> FilterOutcome:
        """What a filter says to these data."""
        outcome = self._outcomes.get(content_filter.text)
        if outcome is None:
            if self._json is not None:
                data = data_of(self._json) if self._is_body else self._json
                self._value, self._json = exact_json.decode(data), None
            left = limits.FILTER_STEPS_OF_EVENT_MAX - self.steps
            steps_max = max(limits.FILTER_STEPS_MIN, min(left, limits.FILTER_STEPS_MAX))
            asking = Asking(steps_max)
            outcome = content_filter.ask(self._value, asking)
            self.steps += steps_max - max(0, asking.steps_left)
            self._outcomes[content_filter.text] = outcome
        return outcome

    def passes(self, content_filter: ContentFilter) -> bool:
        """Whether a filter lets these data through."""
        return self.outcome(content_filter) is FilterOutcome.MATCH


def every(conditions: Sequence[Condition]) -> Condition:
    """All of them hold."""
    if len(conditions) == 1:
        return conditions[0]
    return lambda value, asking: all(one(value, asking) for one in conditions)


def some(conditions: Sequence[Condition]) -> Condition:
    """At least one of them holds."""
    return lambda value, asking: any(one(value, asking) for one in conditions)


def no(condition: Condition) -> Condition:
    """It does not hold."""
    return lambda value, asking: not condition(value, asking)


def at(path: Sequence[str], test: Condition) -> Condition:
    """At least one value at the path passes the test."""
    segments = tuple(path)
    if len(segments) == 1:
        (name,) = segments

        def look(value: Any, asking: Asking) -> bool:
            # The commonest case by far, spelled out: a member of the object itself.
            if type(value) is dict:
                asking.spend()
                found = value.get(name, asking)
                if found is asking:
                    return False
                if type(found) is not list:
                    return test(found, asking)
            return _find(value, segments, 0, test, asking)

        return look
    return lambda value, asking: _find(value, segments, 0, test, asking)


def _find(value: Any, path: tuple[str, ...], depth: int, test: Condition, asking: Asking) -> bool:
    asking.spend()
    kind = type(value)
    if depth == len(path):
        return test(value, asking) or (
            kind is list and any(_find(one, path, depth, test, asking) for one in value)
        )
    if kind is dict:
        return path[depth] in value and _find(value[path[depth]], path, depth + 1, test, asking)
    if kind is list:
        segment = path[depth]
        if segment.isascii() and segment.isdecimal():
            place = int(segment)
            return place < len(value) and _find(value[place], path, depth + 1, test, asking)
        return any(_find(one, path, depth, test, asking) for one in value)
    return False


def present(_value: Any, _asking: Asking) -> bool:
    """There is a value, whatever it is."""
    return True


def within(condition: Condition) -> Condition:
    """The value is an object that meets a condition."""
    return lambda value, asking: type(value) is dict and condition(value, asking)


def equals(wanted: Any) -> Condition:
    """The value is the same JSON."""
    if type(wanted) is str:
        return lambda value, _asking: type(value) is str and value == wanted
    if exact_json.is_number(wanted):
        return lambda value, _asking: exact_json.is_number(value) and bool(value == wanted)
    if wanted is None or type(wanted) is bool:
        return lambda value, _asking: value is wanted

    def compare(value: Any, asking: Asking) -> bool:
        asking.spend(_size(wanted))
        return exact_json.equal(value, wanted)

    return compare


def is_one_of(wanted: Sequence[Any]) -> Condition:
    """The value is the same JSON as one of these."""
    texts = frozenset(one for one in wanted if type(one) is str)
    numbers = frozenset(one for one in wanted if exact_json.is_number(one))
    others = [
        equals(one) for one in wanted if type(one) is not str and not exact_json.is_number(one)
    ]

    def look_up(value: Any, asking: Asking) -> bool:
        if type(value) is str:
            return value in texts
        if exact_json.is_number(value):
            return value in numbers
        return any(one(value, asking) for one in others)

    return look_up


def compares(holds: Callable[[Any, Any], bool], wanted: Any) -> Condition:
    """The value and another one of its kind, both numbers or both texts, stand so to each other.

    Texts are compared by their code points.
    """
    is_wanted_a_text = type(wanted) is str

    def compare(value: Any, asking: Asking) -> bool:
        if type(value) is str if is_wanted_a_text else exact_json.is_number(value):
            return holds(value, wanted)
        return _mismatch(value, asking)

    return compare


def text_passes(holds: Callable[[str], bool]) -> Condition:
    """The value is a text of which something holds."""

    def test(value: Any, asking: Asking) -> bool:
        if type(value) is not str:
            return _mismatch(value, asking)
        asking.spend(len(value) // _CHARACTERS_PER_STEP)
        return holds(value)

    return test


def _mismatch(value: Any, asking: Asking) -> bool:
    """No match, and worth counting; but of an array the elements are asked, too."""
    if type(value) is not list:
        asking.has_mismatch = True
    return False


def _size(value: Any) -> int:
    if type(value) is list:
        return 1 + sum(map(_size, value))
    if type(value) is dict:
        return 1 + sum(map(_size, value.values()))
    return 1
