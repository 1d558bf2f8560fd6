"""JSON Schema without references: every `$ref` is replaced by what it refers to.

A schema of ours refers only to itself, and never round in a circle, so that it can be written out.
Its cost is then to be seen: how many things are looked at for each value of the data.
"""

from collections.abc import Iterator
from typing import Any, Final

from tidings.core import limits
from tidings.core.refusals import Fault

Schema = dict[str, Any] | bool

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_MEMBERS: Final = frozenset(
    {
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords that hold a schema."""
LISTS_OF_SCHEMAS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
MAPS_OF_SCHEMAS: Final = frozenset({"dependentSchemas", "patternProperties", "properties"})
_DEFINITIONS: Final = frozenset({"$defs", "definitions"})
_NAMES: Final = frozenset({"$anchor", "$comment", "$id", "$schema"})
_DYNAMIC: Final = frozenset(
    {"$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$vocabulary"}
)
# Each level of these looks anew at all that stands beside it.
_UNEVALUATED: Final = frozenset({"unevaluatedItems", "unevaluatedProperties"})
_UNEVALUATED_COST: Final = 4


class BadSchema(Exception):
    """A schema that is not taken. The pointer leads to what is wrong with it."""

    def __init__(self, pointer: str, why: str) -> None:
        super().__init__(why)
        self.fault = Fault(pointer, why)


def inlined(schema: dict[str, Any]) -> Schema:
    """The schema without references and definitions. Raises `BadSchema`."""
    return _Inlining(schema).schema(schema, "", (), 0)


def cost(schema: Any) -> int:
    """How many things are looked at, at most, for one value of the data."""
    if type(schema) is list:
        return 1 + sum(map(cost, schema))
    if type(schema) is not dict:
        return 1
    own = 1 + sum(map(cost, schema.values()))
    return own * _UNEVALUATED_COST if not _UNEVALUATED.isdisjoint(schema) else own


def subschemas(schema: dict[str, Any], pointer: str) -> Iterator[tuple[Any, str]]:
    """The schemas that stand directly in a schema, with their places."""
    for name, value in schema.items():
        place = f"{pointer}/{escaped(name)}"
        if name in SCHEMA_MEMBERS:
            yield value, place
        elif name in LISTS_OF_SCHEMAS and type(value) is list:
            yield from ((one, f"{place}/{n}") for n, one in enumerate(value))
        elif name in MAPS_OF_SCHEMAS | _DEFINITIONS and type(value) is dict:
            yield from ((one, f"{place}/{escaped(key)}") for key, one in value.items())


def escaped(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


class _Inlining:
    """Writes one schema out, and gives up where it grows too large."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def schema(self, value: Any, pointer: str, within: tuple[str, ...], depth: int) -> Schema:
        """A schema written out. `within` are the references that are being followed."""
        if type(value) is bool:
            return value
        if type(value) is not dict:
            raise BadSchema(pointer, "a schema is an object, true or false")
        self._nodes += 1
        if self._nodes > limits.SCHEMA_COST_MAX or depth > limits.SCHEMA_DEPTH_MAX:
            raise BadSchema(
                pointer, "the schema is too large or too deep once its $ref are followed"
            )
        self._check_names(value, pointer)
        written = {
            name: self._member(name, inner, f"{pointer}/{escaped(name)}", within, depth + 1)
            for name, inner in value.items()
            if name != "$ref" and name not in _DEFINITIONS | _NAMES
        }
        if "$ref" not in value:
            return written
        place = f"{pointer}/$ref"
        followed = self._followed(value["$ref"], place, within, depth + 1)
        if not written:
            return followed
        return {**written, "allOf": [*written.get("allOf", ()), followed]}

    def _member(
        self, name: str, value: Any, pointer: str, within: tuple[str, ...], depth: int
    ) -> Any:
        if name in SCHEMA_MEMBERS:
            return self.schema(value, pointer, within, depth)
        if name in LISTS_OF_SCHEMAS and type(value) is list:
            return [
                self.schema(one, f"{pointer}/{n}", within, depth) for n, one in enumerate(value)
            ]
        if name in MAPS_OF_SCHEMAS and type(value) is dict:
            return {
                key: self.schema(one, f"{pointer}/{escaped(key)}", within, depth)
                for key, one in value.items()
            }
        return value

    def _check_names(self, value: dict[str, Any], pointer: str) -> None:
        for name in sorted(_DYNAMIC & value.keys()):
            raise BadSchema(f"{pointer}/{name}", f"{name} is not taken; use $ref")
        if value.get("$schema", DIALECT) != DIALECT:
            raise BadSchema(f"{pointer}/$schema", f"only {DIALECT} is taken")
        if pointer and "$id" in value:
            raise BadSchema(f"{pointer}/$id", "only the outermost schema may have an $id")

    def _followed(
        self, reference: Any, pointer: str, within: tuple[str, ...], depth: int
    ) -> Schema:
        if type(reference) is not str or not (reference == "#" or reference.startswith("#/")):
            raise BadSchema(pointer, "a $ref leads into the same schema, such as #/$defs/address")
        if reference in within or reference == "#":
            raise BadSchema(pointer, "a schema must not contain itself")
        target: Any = self._root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if type(target) is list and name.isascii() and name.isdecimal():
                target = dict(enumerate(target)).get(int(name))
            else:
                target = target.get(name) if type(target) is dict else None
        if type(target) not in (dict, bool):
            raise BadSchema(pointer, "there is no schema where this $ref leads")
        return self.schema(target, reference[1:], (*within, reference), depth)
