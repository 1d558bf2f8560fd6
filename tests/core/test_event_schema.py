"""Schemas of strangers: what is taken, what data fit, and what a check may cost."""

import json
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core import exact_json, limits
from tidings.core.event_schema import TooCostly, event_schema, schema_fault

ORDER = {
    "type": "object",
    "required": ["orderId"],
    "properties": {
        "orderId": {"type": "string", "pattern": "^or_"},
        "total": {"type": "number", "multipleOf": 0.01},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
    },
    "$defs": {"item": {"type": "object", "properties": {"a/b": {"type": "integer"}}}},
}


def _faults(schema: Any, data: str) -> list[str]:
    text = json.dumps(schema)
    assert schema_fault(text) is None
    return [one.pointer for one in event_schema(text).faults(data.encode())]


@pytest.mark.parametrize(
    ("data", "pointers"),
    [
        ('{"orderId": "or_1", "total": 19.99}', []),
        ("{}", [""]),
        ('{"orderId": 5}', ["/orderId"]),
        ('{"orderId": "x", "total": 0.001}', ["/orderId", "/total"]),
        ('{"orderId": "or_1", "items": [{"a/b": 1}, {"a/b": "1"}]}', ["/items/1/a~1b"]),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(data: str, pointers: list[str]) -> None:
    assert sorted(_faults(ORDER, data)) == pointers


def test_nothing_of_the_data_is_repeated() -> None:
    (fault,) = event_schema(json.dumps(ORDER)).faults(b'{"orderId": "very-secret"}')
    assert "very-secret" not in fault.detail


def test_a_fault_is_told_in_few_words_however_long_the_names_are() -> None:
    schema = {"additionalProperties": {"additionalProperties": {"type": "string"}}}
    data = json.dumps({"a": {"x" * 100_000: 5}, "y" * 100_000: {"b": 5}})
    faults = event_schema(json.dumps(schema)).faults(data.encode())
    assert sorted(one.pointer for one in faults) == ["", "/a"]
    assert all(len(one.detail) <= 300 for one in faults)


def test_numbers_are_exact() -> None:
    assert _faults({"properties": {"n": {"maximum": 9007199254740992}}}, '{"n": 9007199254740993}')
    assert not _faults({"properties": {"n": {"multipleOf": 0.1}}}, '{"n": 0.3}')


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        ("5", ""),
        ("true", ""),
        ("[]", ""),
        ('{"type": "nope"}', "/type"),
        ('{"properties": {"a": {"minimum": "1"}}}', "/properties/a/minimum"),
        ('{"$defs": {"unused": {"type": 5}}}', "/$defs/unused/type"),
        ('{"properties": {"a": {"$ref": "http://169.254.169.254/"}}}', "/properties/a/$ref"),
        ('{"pattern": "(?=a)"}', "/pattern"),
        ('{"pattern": "(a)\\\\1"}', "/pattern"),
        ('{"properties": {"a": {"pattern": "(a{1000}){1000}"}}}', "/properties/a/pattern"),
        ('{"patternProperties": {"(": true}}', ""),
        ('{"description": "' + "x" * limits.SCHEMA_BYTES_MAX + '"}', ""),
        (json.dumps({"enum": list(range(limits.SCHEMA_COST_MAX))}), ""),
        (json.dumps({"properties": {f"p{n}": {"pattern": "a"} for n in range(33)}}), ""),
    ],
)
def test_what_is_no_schema_of_ours_is_refused(text: str, pointer: str) -> None:
    fault = schema_fault(text)
    assert fault is not None
    assert fault.pointer.startswith(pointer)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|aa)+$", "(.*)*x"])
def test_no_pattern_takes_longer_for_longer_texts_than_they_are_longer(pattern: str) -> None:
    # Where matching backtracks, this would not end.
    assert _faults({"properties": {"t": {"pattern": pattern}}}, f'{{"t": "{"a" * 100_000}!"}}')


def test_data_too_large_for_their_schema_are_not_checked() -> None:
    schema = {"items": {"allOf": [{"minimum": -n} for n in range(300)]}}
    text = json.dumps({"properties": {"n": schema}})
    few, many = ('{"n": [' + ",".join(["1"] * count) + "]}" for count in (1_000, 20_000))
    assert event_schema(text).faults(few.encode()) == []
    with pytest.raises(TooCostly):
        event_schema(text).faults(many.encode())


def test_many_faults_are_told_by_the_first() -> None:
    schema = json.dumps({"properties": {"n": {"items": {"type": "string"}}}})
    few, many = (b'{"n": [' + b",".join([b"1"] * count) + b"]}" for count in (100, 50_000))
    assert len(event_schema(schema).faults(few)) == limits.SCHEMA_FAULTS_MAX
    assert [one.pointer for one in event_schema(schema).faults(many)] == ["/n/0"]


_schemas = st.recursive(
    st.sampled_from([{}, {"type": "string"}, {"type": ["integer", "null"]}, {"enum": [1, "a"]},
                     {"minimum": 1}, {"maxLength": 1}, {"required": ["a"]}, {"minItems": 1},
                     {"$ref": "#/$defs/a"}]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("ab"), inner)}),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"not": inner}),
        *(st.fixed_dictionaries({name: st.lists(inner, min_size=1, max_size=2)})
          for name in ("allOf", "anyOf", "oneOf")),
        st.fixed_dictionaries({"additionalProperties": inner, "unevaluatedProperties": inner}),
    ),
    max_leaves=6,
)  # fmt: skip
_data = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "bb"]),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
        ),
        max_leaves=5,
    ),
)


@given(schema=_schemas, data=_data)
def test_it_says_what_the_reference_implementation_says(schema: Any, data: Any) -> None:
    whole = schema | {"$defs": {"a": {"type": ["object", "string"]}}}
    expected = jsonschema.Draft202012Validator(whole).is_valid(data)
    assert (_faults(whole, json.dumps(data)) == []) is expected


def test_the_reading_of_data_is_that_of_filters() -> None:
    assert exact_json.decode('{"n": 1.50}') == {"n": Decimal("1.50")}
