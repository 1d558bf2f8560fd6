"""Filters obey the laws of logic, agree with a naive reading of them, and never cost too much."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidings.core import limits
from tidings.core.content_filter import Asking, EventData, FilterOutcome
from tidings.core.filter_grammar import content_filter, filter_fault

_scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "b"])
_data = st.dictionaries(
    st.sampled_from("ab0"),
    st.recursive(
        _scalars,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab0"), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=3,
)
_paths = st.lists(st.sampled_from("ab0"), min_size=1, max_size=3).map(".".join)
_tests = st.one_of(
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.integers(-2, 2)),
    st.tuples(st.sampled_from(["$prefix", "$suffix", "$contains"]), st.sampled_from(["", "a"])),
    st.tuples(st.just("$in"), st.lists(_scalars, min_size=1, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
)
_wanted = _scalars | st.lists(_tests, min_size=1, max_size=3, unique_by=lambda one: one[0]).map(
    dict
)
_filters = st.recursive(
    st.dictionaries(_paths, _wanted, min_size=1, max_size=2),
    lambda inner: st.one_of(
        inner.map(lambda one: {"$not": one}),
        st.lists(inner, min_size=1, max_size=2).map(lambda some: {"$or": some}),
        st.lists(inner, min_size=1, max_size=2).map(lambda some: {"$and": some}),
        st.tuples(_paths, inner.filter(lambda one: not any(n[0] == "$" for n in one))).map(
            lambda pair: {pair[0]: pair[1]}
        ),
    ),
    max_leaves=4,
).filter(lambda one: json.dumps(one).count("{") <= limits.FILTER_DEPTH_MAX // 3)


def _matches(wanted: Any, data: Any) -> bool:
    text = json.dumps(wanted)
    assert filter_fault(text) is None
    return EventData(json.dumps(data).encode()).passes(content_filter(text))


@given(wanted=_filters, data=_data)
def test_not_is_the_complement(wanted: Any, data: Any) -> None:
    assert _matches({"$not": wanted}, data) is not _matches(wanted, data)


@given(one=_filters, other=_filters, data=_data)
def test_or_and_and_are_those_of_logic(one: Any, other: Any, data: Any) -> None:
    left, right = _matches(one, data), _matches(other, data)
    assert _matches({"$or": [one, other]}, data) is (left or right)
    assert _matches({"$and": [one, other]}, data) is (left and right)
    assert _matches({"$and": [{"$or": [one, other]}]}, data) is (left or right)
    neither = {"$not": {"$or": [one, other]}}
    assert _matches(neither, data) is _matches({"$and": [{"$not": one}, {"$not": other}]}, data)


@given(wanted=_filters, data=_data)
def test_it_is_what_collecting_all_values_at_each_path_would_say(wanted: Any, data: Any) -> None:
    assert _matches(wanted, data) is _holds(wanted, data)


def _holds(wanted: Any, data: Any) -> bool:
    """A filter read naively: no early ends, no steps, every value at a path in a list."""
    parts = []
    for name, value in wanted.items():
        if name == "$not":
            parts.append(not _holds(value, data))
        elif name == "$or":
            parts.append(any(_holds(one, data) for one in value))
        elif name == "$and":
            parts.append(all(_holds(one, data) for one in value))
        else:
            parts.append(_suits(value, _values(data, name.split("."))))
    return all(parts)


def _values(data: Any, path: list[str]) -> list[Any]:
    if not path:
        inner = [found for one in data for found in _values(one, [])] if _is(data, list) else []
        return [data, *inner]
    if _is(data, dict):
        return _values(data[path[0]], path[1:]) if path[0] in data else []
    if _is(data, list):
        if path[0].isdecimal():
            return [found for one in data[int(path[0]) :][:1] for found in _values(one, path[1:])]
        return [found for one in data for found in _values(one, path)]
    return []


def _suits(wanted: Any, values: list[Any]) -> bool:
    if not _is(wanted, dict):
        return any(_is(one, type(wanted)) and one == wanted for one in values)
    if not any(name.startswith("$") for name in wanted):
        return any(_is(one, dict) and _holds(wanted, one) for one in values)
    tests = {name: operand for name, operand in wanted.items() if name != "$exists"}
    presence = "$exists" not in wanted or wanted["$exists"] is bool(values)
    return presence and (
        not tests or any(all(_passes(n, w, one) for n, w in tests.items()) for one in values)
    )


def _passes(name: str, wanted: Any, value: Any) -> bool:
    if name == "$in":
        return any(_is(value, type(one)) and value == one for one in wanted)
    if not _is(value, type(wanted)):
        return False
    tests: dict[str, Callable[[], bool]] = {
        "$gt": lambda: value > wanted,
        "$gte": lambda: value >= wanted,
        "$lt": lambda: value < wanted,
        "$lte": lambda: value <= wanted,
        "$prefix": lambda: value.startswith(wanted),
        "$suffix": lambda: value.endswith(wanted),
        "$contains": lambda: wanted in value,
    }
    return tests[name]()


def _is(value: Any, kind: type) -> bool:
    return type(value) is kind


def test_what_would_take_too_long_is_given_up_and_told_apart() -> None:
    data = EventData(b'{"a": [' + b",".join([b"1"] * limits.FILTER_STEPS_MAX) + b"]}")
    assert data.outcome(content_filter('{"a": 2}')) is FilterOutcome.TOO_COSTLY
    assert data.outcome(content_filter('{"a": 1}')) is FilterOutcome.MATCH
    # Not even the complement lets through what could not be decided.
    assert data.outcome(content_filter('{"$not": {"a": 2}}')) is FilterOutcome.TOO_COSTLY


def test_a_long_text_is_paid_for_by_its_length() -> None:
    text = "x" * 1_000_000
    asking = Asking(limits.FILTER_STEPS_MAX)
    content_filter('{"a": {"$contains": "y"}}').ask({"a": text}, asking)
    assert limits.FILTER_STEPS_MAX - asking.steps_left > 3_000


@given(wanted=_filters, data=_data)
def test_no_question_takes_more_steps_than_it_has(wanted: Any, data: Any) -> None:
    for steps_max in (1, 5, 50):
        asking = Asking(steps_max)
        outcome = content_filter(json.dumps(wanted)).ask(data, asking)
        assert outcome is FilterOutcome.TOO_COSTLY or asking.steps_left >= 0


def test_costly_filters_leave_something_to_simple_ones_of_the_same_event() -> None:
    data = EventData(b'{"b": 1, "a": [' + b",".join([b"1"] * 20_000) + b"]}")
    for number in range(1_000):
        assert not data.passes(content_filter(json.dumps({"a": number + 2})))
    most = limits.FILTER_STEPS_OF_EVENT_MAX + 1_000 * limits.FILTER_STEPS_MIN
    assert data.steps <= most + limits.FILTER_STEPS_MAX
    assert data.passes(content_filter('{"b": 1}'))


def test_the_same_filter_of_many_subscriptions_is_asked_once() -> None:
    data = EventData(b'{"a": 1}')
    for _ in range(100):
        assert data.passes(content_filter('{"a": 1}'))
    assert data.steps == 1
