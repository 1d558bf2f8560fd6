"""JSON merge patch (RFC 7396): what is given replaces, ``null`` removes, objects are merged."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class NothingToRemove(Exception):
    """A ``null`` that stands for a member which is not there. `pointer` leads to it."""

    def __init__(self, pointer: str) -> None:
        super().__init__(pointer)
        self.pointer = pointer


def merge_patch(target: Any, patch: Any) -> Any:
    """The target as the patch would have it; neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def merge_patch_text(target: bytes, patch: bytes, pointer: str = "") -> bytes:
    """The same on JSON texts, so that whatever is not merged stays as it was written.

    Raises `NothingToRemove` for a ``null`` without effect: where members are conditions, whoever
    wrote it means something else.
    """
    if not patch.startswith(b"{"):
        return patch
    merged = _MEMBERS.decode(target) if target.startswith(b"{") else {}
    for name, value in _MEMBERS.decode(patch).items():
        place = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        if bytes(value) != b"null":
            present = bytes(merged.get(name, b"null"))
            merged[name] = msgspec.Raw(merge_patch_text(present, bytes(value), place))
        elif merged.pop(name, None) is None:
            raise NothingToRemove(place)
    return msgspec.json.encode(merged)
