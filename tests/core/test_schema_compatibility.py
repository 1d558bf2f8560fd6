"""A schema may grow; where data that were valid might be valid no more, it is incompatible."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tidings.core.schema_compatibility import incompatibilities


def _places(old: Any, new: Any) -> list[str]:
    return [fault.pointer for fault in incompatibilities(old, new)]


_OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (_OBJECT, _OBJECT),
        (_OBJECT, _OBJECT | {"title": "Order", "description": "new", "examples": [1]}),
        (_OBJECT, _OBJECT | {"properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}),
        (_OBJECT, _OBJECT | {"required": []}),
        ({"type": "integer"}, {"type": "number"}),
        ({"type": "string"}, {"type": ["null", "string"]}),
        ({"enum": ["a"]}, {"enum": ["b", "a"]}),
        ({"const": "a"}, {"enum": ["a", "b"]}),
        ({"enum": ["a"]}, {}),
        ({"minimum": 5, "maxLength": 3}, {"minimum": 4, "maxLength": 4}),
        ({"minimum": 5}, {}),
        ({"uniqueItems": True}, {"uniqueItems": False}),
        ({"pattern": "a"}, {}),
        ({"additionalProperties": False}, {}),
        ({"additionalProperties": {"type": "integer"}},
         {"properties": {"a": {"type": "number"}}, "additionalProperties": {"type": "number"}}),
        ({"additionalProperties": False}, {"additionalProperties": False,
                                           "properties": {"a": {"type": "string"}}}),
        ({"items": {"maximum": 5}}, {"items": {"maximum": 6}}),
        ({"anyOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"allOf": [{"minimum": 1}, {"maximum": 5}]}, {"allOf": [{"minimum": 0}]}),
        ({"oneOf": [{"type": "null"}]}, {"oneOf": [{"type": "null"}]}),
        ({"if": True, "then": {"minimum": 1}}, {}),
        (False, {"type": "string"}),
        (True, {}),
        ({"unevaluatedProperties": False, "properties": {"a": True}},
         {"unevaluatedProperties": False, "properties": {"a": True, "b": True}}),
    ],
)  # fmt: skip
def test_what_only_widens_or_describes_more_is_compatible(old: Any, new: Any) -> None:
    assert _places(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (_OBJECT, _OBJECT | {"required": ["a", "b"]}, "/required"),
        (_OBJECT, {"type": "object"}, "/properties/a"),
        (_OBJECT, _OBJECT | {"properties": {"a": {"type": "integer"}}}, "/properties/a/type"),
        ({"type": "number"}, {"type": "integer"}, "/type"),
        ({"type": ["string", "null"]}, {"type": "string"}, "/type"),
        ({}, {"type": "object"}, "/type"),
        ({}, {"enum": [1]}, "/enum"),
        ({"enum": [1, 2]}, {"enum": [1]}, "/enum"),
        ({"enum": [1]}, {"const": True}, "/const"),
        ({"enum": [1, 2]}, {"const": 1, "enum": [2]}, "/const"),
        ({"minimum": 1}, {"minimum": 2}, "/minimum"),
        ({}, {"maxItems": 5}, "/maxItems"),
        ({}, {"uniqueItems": True}, "/uniqueItems"),
        ({"pattern": "a"}, {"pattern": "b"}, "/pattern"),
        ({}, {"not": {"type": "null"}}, "/not"),
        ({"oneOf": [{"type": "null"}]}, {"oneOf": [{"type": ["null", "string"]}]}, "/oneOf"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, {"anyOf": [{"type": "null"}]},
         "/anyOf"),
        ({"anyOf": [{"type": "null"}]}, {"anyOf": [{"type": "string"}]}, "/anyOf/0/type"),
        ({}, {"anyOf": [{"type": "null"}]}, "/anyOf"),
        ({}, {"allOf": [{"minimum": 1}]}, "/allOf"),
        ({"if": {"minimum": 1}, "then": {"maximum": 5}}, {"if": {"minimum": 2},
         "then": {"maximum": 5}}, "/if"),
        ({}, {"additionalProperties": False}, "/additionalProperties"),
        ({"additionalProperties": {"type": "integer"}}, {"properties": {"a": {"type": "string"}}},
         "/properties/a/type"),
        ({"patternProperties": {"a": {"type": "string"}}},
         {"patternProperties": {"a": {"type": "string"}}, "properties": {"a": {}}},
         "/properties/a"),
        ({"patternProperties": {"a": {"type": "string"}}}, {}, "/patternProperties"),
        ({"items": {}}, {"items": {"type": "string"}}, "/items/type"),
        ({"prefixItems": [{}]}, {"prefixItems": [{}, {}]}, "/prefixItems"),
        ({"contains": {"type": "null"}, "minContains": 2}, {"contains": {"type": "null"}},
         "/contains"),
        ({"unevaluatedProperties": False, "allOf": [{"properties": {"a": True}}]},
         {"unevaluatedProperties": False}, "/allOf"),
        ({"unevaluatedItems": False, "items": True}, {"unevaluatedItems": False}, "/items"),
        ({"type": "string"}, False, ""),
    ],
)  # fmt: skip
def test_what_narrows_or_cannot_be_decided_is_incompatible(old: Any, new: Any, place: str) -> None:
    assert place in _places(old, new)


_scalars = st.sampled_from([None, True, 0, 1, 2, 1.5, "", "a", "ab"])
_VALUES = {
    "type": st.sampled_from(["string", "integer", "number", "null", ["object", "array"],
                             ["integer", "boolean"], ["string", "null", "number", "object"]]),
    "enum": st.lists(_scalars, min_size=1, max_size=3, unique_by=json.dumps),
    "const": _scalars,
    "minimum": st.integers(0, 2),
    "maxLength": st.integers(0, 2),
    "minItems": st.integers(0, 2),
    "uniqueItems": st.booleans(),
}  # fmt: skip


_leaves: Any = st.booleans() | st.sampled_from(sorted(_VALUES)).flatmap(
    lambda name: st.fixed_dictionaries({name: _VALUES[name]})
)


def _larger(inner: Any) -> Any:
    described = st.fixed_dictionaries({"a": inner, "b": inner})
    some = st.lists(inner, min_size=1, max_size=2)
    return st.one_of(
        st.fixed_dictionaries(
            {
                "properties": described,
                "required": st.lists(st.sampled_from("ab"), unique=True),
                "additionalProperties": inner,
            }
        ),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"items": inner, "unevaluatedItems": inner}),
        st.fixed_dictionaries(
            {"properties": described, "unevaluatedProperties": inner, "anyOf": some}
        ),
        *(
            st.fixed_dictionaries({name: some})
            for name in ("allOf", "anyOf", "oneOf", "prefixItems")
        ),
    )


_schemas: Any = st.recursive(_leaves, _larger, max_leaves=5)
_data = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(data=st.data())
def test_data_that_were_valid_stay_valid(data: st.DataObject) -> None:
    """Every object describes both of the members that data may have, so that none is exempt."""
    old = data.draw(_schemas)
    new = data.draw(st.just(old) | _schemas | _near(old))
    assume(not _places(old, new))
    value = data.draw(_data)
    if jsonschema.Draft202012Validator(old).is_valid(value):
        assert jsonschema.Draft202012Validator(new).is_valid(value)


def _near(schema: Any) -> Any:
    """Schemas that differ from one in a single place."""
    if not isinstance(schema, dict) or not schema:
        return _schemas
    return st.sampled_from(sorted(schema)).flatmap(
        lambda name: _changed(name, schema[name]).map(lambda value: schema | {name: value})
    )


def _changed(name: str, value: Any) -> Any:
    if name in _VALUES:
        return _VALUES[name]
    if isinstance(value, list) and name != "required":
        return st.lists(_schemas, min_size=1, max_size=2)
    if name == "properties":
        return st.sampled_from("ab").flatmap(
            lambda key: _near(value[key]).map(lambda one: value | {key: one})
        )
    return st.lists(st.sampled_from("ab"), unique=True) if name == "required" else _near(value)
