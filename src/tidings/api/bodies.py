"""Reading bodies: bounded in size and time, declared as JSON, and strict about what JSON is."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from tidings.api.problems import RequestTimeout
from tidings.api.wire.base import Body
from tidings.core import limits
from tidings.core.refusals import (
    Fault,
    MalformedJson,
    TooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)

T = TypeVar("T", bound=Body)

JSON: Final = b"application/json"
MERGE_PATCH: Final = b"application/merge-patch+json"

_CHARSETS: Final = (b"", b"charset=utf-8")

_FAULT: Final = re.compile(
    r"(?P<what>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>.*)`)?", re.DOTALL
)
_MEMBER: Final = re.compile(
    r"Object (?P<verb>contains unknown|missing required) field `(.*)`", re.DOTALL
)
_STEP: Final = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")
_TYPE_NAMES: Final = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_NAME_LENGTH_MAX: Final = 100


class BodyReader(Generic[T]):
    """Reads and decodes the bodies of one route.

    `check` is what makes JSON strict; see `tidings.core.strict_json`. A body of which every member
    may be left out may be left out itself.
    """

    def __init__(
        self,
        kind: type[T],
        *,
        bytes_max: int,
        check: Callable[[bytes], None],
        media_types: frozenset[bytes] = frozenset({JSON}),
    ) -> None:
        self._bytes_max = bytes_max
        self._check = check
        self._media_types = media_types
        self._decode = msgspec.json.Decoder(kind).decode
        self.is_required = bool(msgspec.structs.fields(kind)) and any(
            one.required for one in msgspec.structs.fields(kind)
        )

    async def read(self, headers: Mapping[bytes, bytes], receive: Receive) -> T:
        """The body of a request.

        Raises `UnsupportedMediaType`, `TooLarge`, `RequestTimeout`, `MalformedJson` and
        `ValidationFailed`.
        """
        is_declared = self._check_media_type(headers)
        body = await self._read_bytes(headers, receive)
        if not body:
            if self.is_required:
                raise MalformedJson("the body is empty")
            return self._decode(b"{}")
        if not is_declared:
            raise UnsupportedMediaType("the request does not say that its body is JSON")
        return self.decode(body)

    def check_size(self, size: int) -> None:
        """Raise `TooLarge` for a body of so many bytes, if it is."""
        if size > self._bytes_max:
            raise TooLarge(f"the body may have at most {self._bytes_max:,} bytes")

    def decode(self, body: bytes) -> T:
        """The body in these bytes. Raises `MalformedJson` and `ValidationFailed`."""
        self._check(body)
        try:
            return self._decode(body)
        except msgspec.ValidationError as fault:
            raise invalid("the body is not valid", fault) from None

    async def _read_bytes(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """All bytes; no longer than until there are too many, or for too long."""
        declared = headers.get(b"content-length", b"")
        if declared.isdigit():
            self.check_size(int(declared))
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(limits.UPLOAD_TIMEOUT_SECONDS):
                while True:
                    part = await receive()
                    if part["type"] == "http.disconnect":
                        raise ClientDisconnect
                    chunk: bytes = part.get("body", b"")
                    size += len(chunk)
                    self.check_size(size)
                    if not part.get("more_body", False):
                        return b"".join((*chunks, chunk)) if chunks else chunk
                    chunks.append(chunk)
        except TimeoutError:
            raise RequestTimeout("the body did not arrive in time") from None

    def _check_media_type(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the body is declared as JSON. Raises for one that is declared as else."""
        encoding = headers.get(b"content-encoding", b"identity")
        if encoding.strip().lower() != b"identity":
            raise UnsupportedMediaType("bodies are taken only without Content-Encoding")
        declared = headers.get(b"content-type")
        if declared is None:
            return False
        if declared == JSON:
            return True
        media_type, _, parameters = declared.partition(b";")
        charset = parameters.strip().lower().replace(b'"', b"")
        if media_type.strip().lower() not in self._media_types or charset not in _CHARSETS:
            raise UnsupportedMediaType(
                f"the body must be {b' or '.join(sorted(self._media_types)).decode()} in UTF-8"
            )
        return True


def invalid(detail: str, fault: msgspec.ValidationError) -> ValidationFailed:
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
    return ValidationFailed(detail, faults=[Fault(pointer, what)])


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
