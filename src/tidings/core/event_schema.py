"""The schema of an event type's data: what is taken as one, and whether data fit it.

Schemas come from strangers. Nothing is fetched; patterns are matched in linear time; and what a
check costs is bounded before it begins, by the size of the schema and of the data.
"""

from functools import lru_cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs
import msgspec

from tidings.core import exact_json, limits
from tidings.core.refusals import Fault
from tidings.core.schema_inlining import BadSchema, Schema, cost, escaped, inlined, subschemas

_BYTES_PER_NODE: Final = 256
_DETAIL_LENGTH_MAX: Final = 300
_POINTER_LENGTH_MAX: Final = 500
# Nothing of the data is repeated: a detail may end in a log.
_MASK: Final = "the value"
_ENGINE: Final = jsonschema_rs.RegexOptions(
    size_limit=limits.SCHEMA_PATTERN_BYTES_MAX, dfa_size_limit=limits.SCHEMA_PATTERN_BYTES_MAX
)


class TooCostly(Exception):
    """Data are too large to be checked by a schema of this size."""


class EventSchema:
    """A schema made ready for checks."""

    __slots__ = ("_cost", "_validator", "inlined")

    def __init__(self, text: str) -> None:
        self.inlined = _inlined(text)
        self._cost = cost(self.inlined)
        self._validator = _validator(self.inlined)

    def faults(self, data: bytes) -> list[Fault]:
        """What does not fit, the first of it; pointers begin at the data. Raises `TooCostly`."""
        steps = self.steps(data)
        if steps > limits.SCHEMA_STEPS_MAX:
            raise TooCostly
        value = exact_json.decode(data)
        if steps <= limits.SCHEMA_ALL_FAULTS_STEPS_MAX:
            faults = self._validator.iter_errors(value)
            return [_fault_of(one) for one in islice(faults, limits.SCHEMA_FAULTS_MAX)]
        try:
            # All faults are gathered before the first is told, and there may be very many.
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [_fault_of(error)]
        return []

    def steps(self, data: bytes) -> int:
        """What a check of these data costs, at most."""
        values = data.count(b",") + data.count(b"[") + data.count(b"{")
        return self._cost * (1 + values + len(data) // _BYTES_PER_NODE)


@lru_cache(maxsize=limits.SCHEMAS_COMPILED_MAX)
def event_schema(text: str) -> EventSchema:
    """The schema in a text, which must have passed `schema_fault`."""
    return EventSchema(text)


def schema_fault(text: str) -> Fault | None:
    """Why a text is not taken as a schema, or None if it is; the pointer begins at the schema."""
    try:
        EventSchema(text)
    except BadSchema as bad:
        return bad.fault
    return None


def _inlined(text: str) -> Schema:
    if len(text.encode("utf-8")) > limits.SCHEMA_BYTES_MAX:
        raise BadSchema("", f"a schema has at most {limits.SCHEMA_BYTES_MAX:,} bytes")
    try:
        schema = exact_json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise BadSchema("", "it must be a JSON object") from None
    if type(schema) is not dict:
        raise BadSchema("", "it must be a JSON object")
    written = inlined(schema)
    if cost(written) > limits.SCHEMA_COST_MAX:
        raise BadSchema("", "the schema is too large once its $ref are followed")
    if _patterns(written) > limits.SCHEMA_PATTERNS_MAX:
        raise BadSchema("", f"a schema has at most {limits.SCHEMA_PATTERNS_MAX} patterns")
    try:
        jsonschema_rs.meta.validate(schema)
    except jsonschema_rs.ValidationError as error:
        raise _bad_schema(error) from None
    return written


def _patterns(schema: Any) -> int:
    """How many regular expressions a schema asks for."""
    if type(schema) is not dict:
        return 0
    within = schema.get("patternProperties")
    own = ("pattern" in schema) + (len(within) if type(within) is dict else 0)
    return own + sum(_patterns(inner) for inner, _ in subschemas(schema, ""))


def _validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            schema, retriever=_refuse, pattern_options=_ENGINE, mask=_MASK, validate_formats=False
        )
    except jsonschema_rs.ValidationError as error:
        raise _bad_schema(error) from None


def _bad_schema(error: jsonschema_rs.ValidationError) -> BadSchema:
    fault = _fault_of(error)
    return BadSchema(fault.pointer, fault.detail)


def _fault_of(error: jsonschema_rs.ValidationError) -> Fault:
    """The fault, its pointer cut where the names of members in it become too long."""
    pointer = ""
    for part in error.instance_path:
        longer = f"{pointer}/{escaped(str(part))}"
        if len(longer) > _POINTER_LENGTH_MAX:
            break
        pointer = longer
    return Fault(pointer, error.message[:_DETAIL_LENGTH_MAX])


def _refuse(uri: str) -> Any:
    raise ValueError(f"nothing is fetched, and {uri} neither")
