"""Pages of lists. A cursor tells where the next page begins, and fits only the list it came from.

It holds the last item's place and a MAC over that, the list, the tenant and the filters. It grants
nothing: whoever presents it is authorised like everybody else.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from tidings.api.wire.queries import ListQuery
from tidings.core.refusals import InvalidCursor

R = TypeVar("R")

_MAC_BYTES: Final = 16


def sealed_cursor(key: bytes, binding: bytes, place: str) -> str:
    """The cursor for a place in the list that `binding` stands for."""
    sealed = _mac(key, binding, place.encode()) + place.encode()
    return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")


def opened_cursor(key: bytes, binding: bytes, cursor: str) -> str:
    """The place in a cursor. Raises `InvalidCursor` unless we made it for that very list."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise _not_ours() from None
    mac, place = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, binding, place)):
        raise _not_ours()
    return place.decode()


async def read_page(
    key: bytes,
    wanted: tuple[str, Any],
    query: ListQuery,
    fetch: Callable[[str | None, int], Awaitable[Sequence[R]]],
    place_of: Callable[[R], str],
) -> tuple[list[R], str | None]:
    """One page of a list and the cursor for the next one, None on the last.

    `wanted` is the list's name and what selects its items; `fetch` answers items behind a place.
    """
    binding = msgspec.json.encode(wanted)
    before = None if query.cursor is None else opened_cursor(key, binding, query.cursor)
    found = list(await fetch(before, query.page_limit + 1))
    page = found[: query.page_limit]
    if len(found) <= len(page):
        return page, None
    return page, sealed_cursor(key, binding, place_of(page[-1]))


def _mac(key: bytes, binding: bytes, place: bytes) -> bytes:
    return hmac.digest(key, b"%d:%b%b" % (len(binding), binding, place), hashlib.sha256)[
        :_MAC_BYTES
    ]


def _not_ours() -> InvalidCursor:
    return InvalidCursor("the cursor does not belong to this list with these parameters")
