"""Strict JSON: what RFC 8259 and I-JSON allow, and nothing that parsers read in different ways.

Refused are bad syntax, bytes that are not UTF-8 (a byte order mark too), half surrogate pairs,
``NaN`` and the infinities, numbers that overflow a double (``1e999``) or have thousands of digits,
nesting beyond 64 levels, and the same name twice in one object.
"""

import json
import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

import msgspec

from tidings.core import limits
from tidings.core.refusals import MalformedJson

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKETS: Final = b"[]{}"
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(_BRACKETS))
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class _Name(str):
    """A member's name that refuses to stand twice in one object.

    A dict asks two names whether they are equal only when they have the same hash, so names that
    differ cost nothing but the look-up that is made anyway.
    """

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        if str.__eq__(self, other):
            raise MalformedJson(_TWICE)
        return False


_TWICE: Final = "a name stands twice in one object"
_VALUE: Final = msgspec.json.Decoder()
_OUTERMOST: Final = msgspec.json.Decoder(
    dict[_Name, msgspec.Raw], dec_hook=lambda kind, name: kind(name)
)


def check_document(body: bytes) -> None:
    """Raise `MalformedJson` unless the body is strict JSON."""
    _check_value(body, limits.JSON_DEPTH_MAX)
    json.loads(body, object_pairs_hook=_unique, parse_int=len, parse_float=len)


def check_envelope(body: bytes) -> None:
    """The same for a body that carries a publisher's data, which is passed on as it came.

    Names must be unique in the outermost object alone, and the data within may be nested as
    deeply as a document. This one is quick: every published event goes through it.
    """
    _check_value(body, limits.JSON_DEPTH_MAX + 1)
    _check_outermost_names(body)


def check_outline(body: bytes) -> None:
    """The same for a body whose parts are checked one by one later: syntax and outermost names."""
    _check_encoding(body)
    if not _check_outermost_names(body):
        _decode(body)


def depth(body: bytes) -> int:
    """How deeply a JSON text is nested; meaningless but harmless for what is no JSON."""
    if body[:1] in (b"[", b"{") and body.count(b"[") + body.count(b"{") == 1:
        # As most data are: one object without another in it.
        return 1
    brackets = _STRING.sub(b"", body).translate(None, _ALL_BUT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)


def _check_value(body: bytes, depth_max: int) -> None:
    _check_encoding(body)
    if body.count(b"[") + body.count(b"{") > depth_max and depth(body) > depth_max:
        raise MalformedJson(f"the body is nested more than {depth_max} levels deep")
    _decode(body)


def _check_encoding(body: bytes) -> None:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedJson("the body is not valid UTF-8") from None


def _decode(body: bytes) -> None:
    """See that all of it can be read: syntax, escapes, the range of numbers."""
    try:
        _VALUE.decode(body)
    except (msgspec.DecodeError, RecursionError) as fault:
        raise MalformedJson(_what(fault)) from None


def _check_outermost_names(body: bytes) -> bool:
    """See that no name stands twice, and the syntax of all within; False for what is no object."""
    try:
        _OUTERMOST.decode(body)
    except msgspec.ValidationError:
        return False
    except (msgspec.DecodeError, RecursionError) as fault:
        raise MalformedJson(_what(fault)) from None
    return True


def _what(fault: Exception) -> str:
    """What is wrong, in words that repeat nothing of the body."""
    text = str(fault).split(" - at ", 1)[0]
    is_word = text[1:2].islower()
    return (
        f"{text[:1].lower() if is_word else text[:1]}{text[1:]}" if text else "the body is no JSON"
    )


def _unique(members: Sequence[tuple[str, Any]]) -> None:
    if len({name for name, _ in members}) != len(members):
        raise MalformedJson(_TWICE)
