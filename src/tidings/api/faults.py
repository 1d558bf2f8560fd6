"""What a decoder found wrong, in the words of JSON and with its place as a JSON pointer."""

import re
from typing import Final

import msgspec

from tidings.core.refusals import Fault

_FAULT: Final = re.compile(
    r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL
)
_MEMBER: Final = re.compile(
    r"Object (?P<verb>contains unknown|missing required) field `(.*)`", re.DOTALL
)
_STEP: Final = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")
_TYPE_NAMES: Final = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_NAME_LENGTH_MAX: Final = 100


def fault_of(fault: msgspec.ValidationError) -> Fault:
    """What a decoder found wrong, with the place as a JSON pointer."""
    found = _FAULT.fullmatch(str(fault))
    assert found is not None
    what = found["what"]
    pointer = "".join(f"/{name or index}" for name, index in _STEP.findall(found["path"] or ""))
    member = _MEMBER.fullmatch(what)
    if member is not None:
        pointer += "/" + _escaped(member[2][:_NAME_LENGTH_MAX])
        what = "is not known here" if member["verb"] == "contains unknown" else "is missing"
    elif what.startswith("Invalid enum value"):
        what = "is none of the allowed values"
    else:
        for python, json in _TYPE_NAMES.items():
            what = re.sub(rf"\b{python}\b", json, what)
        what = what[:1].lower() + what[1:].replace("`", "")
    if found["key"]:
        what = f"a name in it: {what}"
    return Fault(pointer, what)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
