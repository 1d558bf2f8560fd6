"""The catalogue: what publishers say about their event types, and when they may change it."""

from enum import StrEnum
from typing import Any, Final

import msgspec

from tidings.core import exact_json, limits
from tidings.core.event_schema import TooCostly, event_schema, schema_fault
from tidings.core.refusals import Fault, InvalidState
from tidings.core.schema_compatibility import incompatibilities

FIRST_VERSION: Final = 1
_TOO_COSTLY: Final = "the data are too large to be checked by a schema of this size"


class Validation(StrEnum):
    """What happens to published data that do not fit the schema."""

    OFF = "off"
    WARN = "warn"
    ENFORCE = "enforce"


class CheckOutcome(StrEnum):
    """What came of checking the data of an event."""

    VALID = "valid"
    INVALID = "invalid"
    REFUSED = "refused"
    UNCHECKED = "unchecked"


class Described(msgspec.Struct, frozen=True):
    """What a publisher says about an event type. `schema` and `example` are JSON as given."""

    description: str | None = None
    schema: str | None = None
    example: str | None = None
    validation: Validation = Validation.OFF
    deprecated: bool = False


class CataloguedType(msgspec.Struct, frozen=True):
    """An event type in the catalogue of a tenant. `version` rises with each other schema."""

    tenant_id: str
    event_type: str
    described: Described
    version: int
    created_at_ms: int
    updated_at_ms: int


def described_faults(described: Described) -> list[Fault]:
    """What is wrong with what a publisher says; pointers begin at it."""
    if described.schema is None and described.validation is not Validation.OFF:
        return [Fault("/validation", "there is no schema to check data by")]
    if described.schema is not None:
        fault = schema_fault(described.schema)
        if fault is not None:
            return [Fault(f"/schema{fault.pointer}", fault.detail)]
    return [] if described.example is None else _example_faults(described, described.example)


def _example_faults(described: Described, example: str) -> list[Fault]:
    data = example.encode("utf-8")
    if not data.startswith(b"{"):
        return [Fault("/example", "it must be a JSON object, as the data of an event are")]
    if len(data) > limits.EXAMPLE_BYTES_MAX:
        return [Fault("/example", f"an example has at most {limits.EXAMPLE_BYTES_MAX:,} bytes")]
    if described.schema is None:
        return []
    try:
        faults = event_schema(described.schema).faults(data)
    except TooCostly:
        return [Fault("/example", _TOO_COSTLY)]
    return [Fault(f"/example{one.pointer}", one.detail) for one in faults]


def changed_type(
    old: CataloguedType, described: Described, *, now_ms: int, is_forced: bool
) -> CataloguedType:
    """An event type described anew; the very same where nothing is different.

    Raises `InvalidState` for a schema that is not compatible with the present one, unless forced.
    """
    if described == old.described:
        return old
    version = old.version
    if not _are_same(old.described.schema, described.schema):
        version += 1
        if not is_forced:
            _check_compatible(old.described.schema, described.schema)
    return msgspec.structs.replace(old, described=described, version=version, updated_at_ms=now_ms)


def checked(described: Described, data: bytes) -> tuple[CheckOutcome, list[Fault]]:
    """Whether published data fit what is said of their event type; pointers begin at the data.

    Faults come with every outcome but `valid`; only with `refused` the event is not let in.
    """
    if described.schema is None or described.validation is Validation.OFF:
        return CheckOutcome.VALID, []
    is_enforced = described.validation is Validation.ENFORCE
    try:
        faults = event_schema(described.schema).faults(data)
    except TooCostly:
        outcome = CheckOutcome.REFUSED if is_enforced else CheckOutcome.UNCHECKED
        return outcome, [Fault("", _TOO_COSTLY)]
    if not faults:
        return CheckOutcome.VALID, []
    return CheckOutcome.REFUSED if is_enforced else CheckOutcome.INVALID, faults


def _are_same(old: str | None, new: str | None) -> bool:
    return exact_json.equal(_value(old), _value(new))


def _value(text: str | None) -> Any:
    return None if text is None else exact_json.decode(text)


def _check_compatible(old: str | None, new: str | None) -> None:
    if old is None:
        return
    if new is None:
        found = [Fault("/schema", "the data were described and are described no more")]
    else:
        before, after = event_schema(old).inlined, event_schema(new).inlined
        found = list(incompatibilities(before, after, "/schema"))
    if found:
        raise InvalidState(
            "the schema is not compatible with the present one; with force=true it is taken anyway",
            faults=found[: limits.SCHEMA_FAULTS_MAX],
        )
