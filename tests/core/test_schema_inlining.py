"""References are written out; what leads elsewhere, nowhere, in circles or too far is refused."""

from typing import Any

import pytest

from tidings.core import limits
from tidings.core.schema_inlining import BadSchema, cost, inlined


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({}, {}),
        ({"type": "object", "$schema": "https://json-schema.org/draft/2020-12/schema"},
         {"type": "object"}),
        ({"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"}, {"type": "string"}),
        ({"$defs": {"a/~b": True}, "items": {"$ref": "#/$defs/a~1~0b"}}, {"items": True}),
        ({"properties": {"x": {"type": "null"}, "y": {"$ref": "#/properties/x"}}},
         {"properties": {"x": {"type": "null"}, "y": {"type": "null"}}}),
        ({"definitions": {"a": {"$ref": "#/definitions/b"}, "b": {"minimum": 1}},
          "items": {"$ref": "#/definitions/a", "maximum": 2}},
         {"items": {"maximum": 2, "allOf": [{"minimum": 1}]}}),
        ({"$defs": {"a": {"title": "A"}}, "allOf": [{"type": "object"}], "$ref": "#/$defs/a"},
         {"allOf": [{"type": "object"}, {"title": "A"}]}),
        ({"allOf": [True], "items": {"$ref": "#/allOf/0"}}, {"allOf": [True], "items": True}),
        ({"enum": [{"$ref": "http://elsewhere"}]}, {"enum": [{"$ref": "http://elsewhere"}]}),
    ],
)  # fmt: skip
def test_a_reference_is_replaced_by_what_it_means(schema: Any, written: Any) -> None:
    assert inlined(schema) == written


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"$ref": "https://example.com/schema.json"}, "/$ref"),
        ({"items": {"$ref": "other.json#/a"}}, "/items/$ref"),
        ({"items": {"$ref": "#anchor"}}, "/items/$ref"),
        ({"items": {"$ref": 5}}, "/items/$ref"),
        ({"items": {"$ref": "#/$defs/a"}}, "/items/$ref"),
        ({"enum": ["a"], "items": {"$ref": "#/enum/0"}}, "/items/$ref"),
        ({"$ref": "#"}, "/$ref"),
        ({"items": {"$ref": "#"}}, "/items/$ref"),
        ({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
         "/$defs/a/items/$ref"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema"),
        ({"items": {"$schema": "https://example.com/dialect"}}, "/items/$schema"),
        ({"$dynamicRef": "#a"}, "/$dynamicRef"),
        ({"items": {"$id": "https://example.com/"}}, "/items/$id"),
        ({"items": []}, "/items"),
        ({"properties": {"a/b": 5}}, "/properties/a~1b"),
        ({"allOf": [{}, 5]}, "/allOf/1"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_out_is_refused(schema: Any, pointer: str) -> None:
    with pytest.raises(BadSchema) as refused:
        inlined(schema)
    assert refused.value.fault.pointer == pointer


def test_a_few_references_cannot_become_a_huge_schema() -> None:
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for number in range(1, 40):
        one = {"$ref": f"#/$defs/d{number - 1}"}
        definitions[f"d{number}"] = {"properties": {"a": one, "b": one}}
    with pytest.raises(BadSchema):
        inlined({"$defs": definitions, "$ref": "#/$defs/d39"})


def test_a_long_chain_of_references_ends() -> None:
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for number in range(1, limits.SCHEMA_DEPTH_MAX + 10):
        definitions[f"d{number}"] = {"items": {"$ref": f"#/$defs/d{number - 1}"}}
    with pytest.raises(BadSchema):
        inlined({"$defs": definitions, "$ref": f"#/$defs/d{limits.SCHEMA_DEPTH_MAX + 9}"})


def test_what_looks_at_its_neighbours_again_costs_many_times() -> None:
    schema: Any = {"type": "object"}
    for _ in range(6):
        schema = {"allOf": [schema], "unevaluatedProperties": False}
    assert cost(schema) > 4**6
    assert cost({"enum": [1, 2, 3], "type": "integer"}) == 6
