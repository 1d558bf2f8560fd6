"""Pages of lists. A cursor tells where the next page begins, and fits only the list it came from.

It holds the last item's place, encrypted (AES-SIV) so that it fits one list of one tenant with one
set of filters, and tells nothing but to us. It grants nothing: whoever presents it is authorised
like everybody else.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from tidings.api.wire.queries import ListQuery
from tidings.core.refusals import InvalidCursor

R = TypeVar("R")


def sealed_cursor(key: bytes, binding: bytes, place: str) -> str:
    """The cursor for a place in the list that `binding` stands for; `key` has 32 bytes."""
    sealed = _cipher(key).encrypt(place.encode(), [binding])
    return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")


def opened_cursor(key: bytes, binding: bytes, cursor: str) -> str:
    """The place in a cursor. Raises `InvalidCursor` unless we made it for that very list."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
        return _cipher(key).decrypt(sealed, [binding]).decode()
    except (UnicodeEncodeError, binascii.Error, InvalidTag):
        raise InvalidCursor(
            "the cursor does not belong to this list with these parameters"
        ) from None


async def read_page(
    key: bytes,
    wanted: tuple[str, Any],
    query: ListQuery,
    fetch: Callable[[str | None, int], Awaitable[Sequence[R]]],
    place_of: Callable[[R], str],
    *,
    place_reached: Callable[[], str | None] = lambda: None,
) -> tuple[list[R], str | None]:
    """One page of a list and the cursor for the next one, None on the last.

    `wanted` is the list's name and what selects its items; `fetch` answers items behind a place.
    Where it looks no further than to some place, and may have found few or none, `place_reached`
    answers that afterwards.
    """
    binding = msgspec.json.encode(wanted)
    before = None if query.cursor is None else opened_cursor(key, binding, query.cursor)
    found = list(await fetch(before, query.page_limit + 1))
    page = found[: query.page_limit]
    place = place_of(page[-1]) if len(found) > len(page) else place_reached()
    return page, None if place is None else sealed_cursor(key, binding, place)


@lru_cache(maxsize=8)
def _cipher(key: bytes) -> AESSIV:
    return AESSIV(key)
