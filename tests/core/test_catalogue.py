"""What may be said about an event type, and how it may be changed."""

import json
from typing import Any

import pytest

from tests.support.values import NOW_MS
from tidings.core import limits
from tidings.core.catalogue import (
    CataloguedType,
    CheckOutcome,
    Described,
    Validation,
    changed_type,
    checked,
    described_faults,
)
from tidings.core.refusals import InvalidState

SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}}'
STRICTER = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'


@pytest.mark.parametrize(
    ("members", "pointers"),
    [
        ({}, []),
        ({"schema": SCHEMA, "example": '{"n": 1}', "validation": Validation.ENFORCE}, []),
        ({"example": '{"any": 1}'}, []),
        ({"example": "[]"}, ["/example"]),
        ({"example": json.dumps({"a": "x" * limits.EXAMPLE_BYTES_MAX})}, ["/example"]),
        ({"schema": SCHEMA, "example": '{"n": "1"}'}, ["/example/n"]),
        ({"schema": '{"properties": {"n": 5}}'}, ["/schema/properties/n"]),
        ({"validation": Validation.WARN}, ["/validation"]),
    ],
)
def test_what_is_said_must_make_sense(members: dict[str, Any], pointers: list[str]) -> None:
    assert [one.pointer for one in described_faults(Described(**members))] == pointers


def _type(**members: Any) -> CataloguedType:
    return CataloguedType("default", "a.b", Described(**members), 1, NOW_MS, NOW_MS)


def _changed(old: CataloguedType, *, is_forced: bool = False, **members: Any) -> CataloguedType:
    return changed_type(old, Described(**members), now_ms=NOW_MS + 1, is_forced=is_forced)


def test_saying_the_same_again_changes_nothing() -> None:
    old = _type(schema=SCHEMA, deprecated=True)
    assert _changed(old, schema=SCHEMA, deprecated=True) is old


def test_only_another_schema_is_another_version() -> None:
    old = _type(schema=SCHEMA)
    spelled = _changed(old, schema=SCHEMA.replace(" ", ""), description="new")
    assert (spelled.version, spelled.updated_at_ms) == (1, NOW_MS + 1)
    wider = _changed(old, schema='{"type": "object", "properties": {"n": {"type": "number"}}}')
    assert wider.version == 2


@pytest.mark.parametrize("schema", [STRICTER, None])
def test_an_incompatible_schema_has_to_be_forced(schema: str | None) -> None:
    old = _type(schema=SCHEMA)
    with pytest.raises(InvalidState) as refused:
        _changed(old, schema=schema)
    assert refused.value.faults[0].pointer.startswith("/schema")
    assert _changed(old, schema=schema, is_forced=True).version == 2


def test_a_first_schema_breaks_nothing_that_was_said() -> None:
    assert _changed(_type(), schema=STRICTER).version == 2


@pytest.mark.parametrize(
    ("validation", "data", "outcome"),
    [
        (Validation.OFF, b'{"n": "1"}', CheckOutcome.VALID),
        (Validation.WARN, b'{"n": "1"}', CheckOutcome.INVALID),
        (Validation.ENFORCE, b'{"n": "1"}', CheckOutcome.REFUSED),
        (Validation.ENFORCE, b'{"n": 1}', CheckOutcome.VALID),
    ],
)
def test_data_are_checked_as_it_was_said(
    validation: Validation, data: bytes, outcome: CheckOutcome
) -> None:
    found, faults = checked(Described(schema=SCHEMA, validation=validation), data)
    assert found is outcome
    assert [one.pointer for one in faults] == ([] if outcome is CheckOutcome.VALID else ["/n"])


def test_data_that_are_too_large_to_be_checked_are_told_apart() -> None:
    schema = json.dumps({"properties": {"n": {"items": {"enum": list(range(500))}}}})
    data = b'{"n": [' + b"1," * 20_000 + b"1]}"
    for validation, outcome in (
        (Validation.WARN, CheckOutcome.UNCHECKED),
        (Validation.ENFORCE, CheckOutcome.REFUSED),
    ):
        found, faults = checked(Described(schema=schema, validation=validation), data)
        assert (found, len(faults)) == (outcome, 1)
