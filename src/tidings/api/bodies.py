"""Reading bodies: bounded in size and time, declared as JSON, and strict about what JSON is."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from tidings.api.faults import fault_of
from tidings.api.problems import RequestTimeout
from tidings.api.wire.base import Body
from tidings.core import limits
from tidings.core.refusals import (
    MalformedJson,
    TooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)

T = TypeVar("T", bound=Body)

JSON: Final = b"application/json"
MERGE_PATCH: Final = b"application/merge-patch+json"

IS_WHOLE: Final = "tidings.is_whole"
"""What our server offers by this name tells whether a body has arrived: then no clock is set."""

_CHARSETS: Final = (b"", b"charset=utf-8")


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
        self._may_be_left_out = may_be_left_out(kind)

    async def read(
        self, headers: Mapping[bytes, bytes], receive: Receive, *, is_whole: bool = False
    ) -> T:
        """The body of a request. `is_whole` says that all of it has arrived.

        Raises `UnsupportedMediaType`, `TooLarge`, `RequestTimeout`, `MalformedJson` and
        `ValidationFailed`.
        """
        if self._may_be_left_out and headers.get(b"content-length") == b"0":
            # Nothing follows, whatever it is called: `curl --data ''` calls it a form.
            return self._decode(b"{}")
        is_declared = self._check_media_type(headers)
        body = await self._read_bytes(headers, receive, is_whole=is_whole)
        return self._decoded(body, is_declared=is_declared)

    def read_whole(self, headers: Mapping[bytes, bytes], body: bytes) -> T:
        """The same for a body that is here already, of a kind that may not be left out."""
        is_declared = self._check_media_type(headers)
        self.check_size(len(body))
        return self._decoded(body, is_declared=is_declared)

    def _decoded(self, body: bytes, *, is_declared: bool) -> T:
        if not body:
            if self._may_be_left_out:
                return self._decode(b"{}")
            raise MalformedJson("the body is empty")
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
            raise ValidationFailed("the body is not valid", faults=[fault_of(fault)]) from None

    async def _read_bytes(
        self, headers: Mapping[bytes, bytes], receive: Receive, *, is_whole: bool
    ) -> bytes:
        """All bytes; no longer than until there are too many, or for too long."""
        declared = headers.get(b"content-length", b"")
        if declared.isdigit():
            self.check_size(int(declared))
        if is_whole:
            return await self._received(receive)
        try:
            async with asyncio.timeout(limits.UPLOAD_TIMEOUT_SECONDS):
                return await self._received(receive)
        except TimeoutError:
            raise RequestTimeout("the body did not arrive in time") from None

    async def _received(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
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


def may_be_left_out(kind: type[msgspec.Struct]) -> bool:
    """Whether a body of this kind may be left out, because all of its members may."""
    return not any(one.required for one in msgspec.structs.fields(kind))
