"""Whether a schema may take the place of another without anybody noticing.

It may if all data that were valid stay valid, and if no member that was described is described no
more. A member that was not described before may be described from now on: that is how event types
grow. Everything that cannot be decided by looking at the two side by side counts as incompatible.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidings.core import exact_json
from tidings.core.refusals import Fault
from tidings.core.schema_inlining import Schema, escaped

_ANNOTATIONS: Final = frozenset(
    {
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "deprecated",
        "description",
        "examples",
        "format",
        "readOnly",
        "title",
        "writeOnly",
    }
)
"""What a check does not look at, besides keywords that JSON Schema does not know."""
_ALL_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
# May stay as they are or go; a change may mean anything.
_FIXED: Final = (
    "dependentRequired",
    "dependentSchemas",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_UNEVALUATED: Final = frozenset({"unevaluatedItems", "unevaluatedProperties"})
_IN_PLACE: Final = ("allOf", "anyOf", "dependentSchemas", "if", "then", "else", "not", "oneOf")
_EVALUATING: Final = frozenset(
    {"additionalProperties", "contains", "items", "patternProperties", "prefixItems"}
)
# Mean something only together: all of a group stay, or all of it may go.
_FIXED_GROUPS: Final = (("contains", "maxContains", "minContains"), ("if", "then", "else"))


def incompatibilities(old: Schema, new: Schema, pointer: str = "") -> Iterator[Fault]:
    """What stands against putting `new` in place of `old`; both without references."""
    old_object, new_object = _as_object(old), _as_object(new)
    if exact_json.equal(old_object, new_object) or old is False:
        return
    if new is False:
        yield Fault(pointer, "nothing is valid any more")
        return
    yield from _types(old_object, new_object, pointer)
    yield from _values(old_object, new_object, pointer)
    yield from _bounds(old_object, new_object, pointer)
    yield from _fixed(old_object, new_object, pointer)
    yield from _lists(old_object, new_object, pointer)
    yield from _arrays(old_object, new_object, pointer)
    yield from _members(old_object, new_object, pointer)


def _as_object(schema: Schema) -> dict[str, Any]:
    if type(schema) is bool:
        return {} if schema else {"not": {}}
    assert type(schema) is dict
    return schema


def _types(old: Mapping[str, Any], new: Mapping[str, Any], pointer: str) -> Iterator[Fault]:
    lost = _allowed_types(old) - _allowed_types(new)
    if lost:
        names = ", ".join(sorted(lost))
        yield Fault(f"{pointer}/type", f"what was allowed is allowed no more: {names}")


def _allowed_types(schema: Mapping[str, Any]) -> frozenset[str]:
    given = schema.get("type")
    if given is None:
        return _ALL_TYPES
    types = frozenset([given] if type(given) is str else given)
    return types | {"integer"} if "number" in types else types


def _values(old: Mapping[str, Any], new: Mapping[str, Any], pointer: str) -> Iterator[Fault]:
    wanted = _allowed_values(new)
    if wanted is None:
        return
    before = _allowed_values(old)
    name = "const" if "const" in new else "enum"
    if before is None:
        yield Fault(f"{pointer}/{name}", "values are limited that were not")
    elif not all(any(exact_json.equal(one, other) for other in wanted) for one in before):
        yield Fault(f"{pointer}/{name}", "a value that was allowed is allowed no more")


def _allowed_values(schema: Mapping[str, Any]) -> list[Any] | None:
    listed: list[Any] | None = schema.get("enum")
    if "const" not in schema:
        return listed
    constant = schema["const"]
    if listed is None or any(exact_json.equal(constant, one) for one in listed):
        return [constant]
    return []


def _bounds(old: Mapping[str, Any], new: Mapping[str, Any], pointer: str) -> Iterator[Fault]:
    for name in (*_LOWER_BOUNDS, *_UPPER_BOUNDS):
        if name not in new:
            continue
        sign = 1 if name in _LOWER_BOUNDS else -1
        if name not in old or sign * new[name] > sign * old[name]:
            yield Fault(f"{pointer}/{name}", "the bound is tighter than it was")
    if new.get("uniqueItems", False) and not old.get("uniqueItems", False):
        yield Fault(f"{pointer}/uniqueItems", "elements must differ that did not have to")


def _fixed(old: Mapping[str, Any], new: Mapping[str, Any], pointer: str) -> Iterator[Fault]:
    for name in _FIXED:
        if name in new and not (name in old and exact_json.equal(old[name], new[name])):
            yield Fault(f"{pointer}/{name}", "this is new or changed, and may mean anything")
    if not _UNEVALUATED.isdisjoint(new):
        # What they mean depends on what stands beside them: that may only grow.
        for name in _IN_PLACE:
            if not exact_json.equal(old.get(name), new.get(name)):
                yield Fault(f"{pointer}/{name}", "this changed, and unevaluated… depends on it")
        for name in sorted(_EVALUATING & (old.keys() - new.keys())):
            yield Fault(f"{pointer}/{name}", "this is gone, and unevaluated… depends on it")
    for group in _FIXED_GROUPS:
        before = {name: old[name] for name in group if name in old}
        after = {name: new[name] for name in group if name in new}
        if after and not exact_json.equal(before, after):
            yield Fault(f"{pointer}/{group[0]}", "this is new or changed, and may mean anything")


def _lists(old: Mapping[str, Any], new: Mapping[str, Any], pointer: str) -> Iterator[Fault]:
    """`allOf` may lose parts at its end, `anyOf` may gain some."""
    before, after = old.get("allOf", []), new.get("allOf", [])
    if len(after) > len(before):
        yield Fault(f"{pointer}/allOf", "more must hold than before")
    for place, (one, other) in enumerate(zip(before, after, strict=False)):
        yield from incompatibilities(one, other, f"{pointer}/allOf/{place}")
    if "anyOf" not in new:
        return
    before, after = old.get("anyOf"), new["anyOf"]
    if before is None or len(after) < len(before):
        yield Fault(f"{pointer}/anyOf", "fewer choices are left than before")
        return
    for place, (one, other) in enumerate(zip(before, after, strict=False)):
        yield from incompatibilities(one, other, f"{pointer}/anyOf/{place}")


def _arrays(old: Mapping[str, Any], new: Mapping[str, Any], pointer: str) -> Iterator[Fault]:
    before, after = old.get("prefixItems", []), new.get("prefixItems", [])
    if len(before) != len(after):
        yield Fault(f"{pointer}/prefixItems", "this is new or changed, and may mean anything")
        return
    for place, (one, other) in enumerate(zip(before, after, strict=True)):
        yield from incompatibilities(one, other, f"{pointer}/prefixItems/{place}")
    yield from incompatibilities(old.get("items", True), new.get("items", True), f"{pointer}/items")


def _members(old: Mapping[str, Any], new: Mapping[str, Any], pointer: str) -> Iterator[Fault]:
    for name in new.get("required", ()):
        if name not in old.get("required", ()):
            yield Fault(f"{pointer}/required", f"the member {name} must be there from now on")
    before, after = old.get("properties", {}), new.get("properties", {})
    others = old.get("additionalProperties", True)
    for name, schema in before.items():
        place = f"{pointer}/properties/{escaped(name)}"
        if name not in after:
            yield Fault(place, "a member that was described is described no more")
        else:
            yield from incompatibilities(schema, after[name], place)
    patterns = old.get("patternProperties", {}), new.get("patternProperties", {})
    if not exact_json.equal(*patterns):
        yield Fault(f"{pointer}/patternProperties", "this changed, and may mean anything")
    for name in after.keys() - before.keys():
        # What nothing was said about may be described; what something was said about must fit.
        place = f"{pointer}/properties/{escaped(name)}"
        if patterns[0]:
            yield Fault(place, "a pattern of names may have described it before")
        elif type(others) is dict and others:
            yield from incompatibilities(others, after[name], place)
    yield from incompatibilities(
        others, new.get("additionalProperties", True), f"{pointer}/additionalProperties"
    )
