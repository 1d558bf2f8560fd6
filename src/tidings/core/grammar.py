"""The grammar of the ids and keys that publishers may write, and the names of tenants.

What an event type and a pattern may look like stands in `tidings.core.pattern`.
"""

import re
from typing import Final

from tidings.core import limits
from tidings.core.identifier import PUBLIC_ID

DEFAULT_TENANT: Final = "default"
ALL_TENANTS: Final = "*"
OPERATOR: Final = "*"
"""Whose subscriptions see the lifecycle events of all tenants. It can be the id of no tenant."""

_HOPS: Final = re.compile(r"[0-9]{1,3}")
_ORDERING_KEY: Final = re.compile(rf"[\x20-\x7e]{{1,{limits.ORDERING_KEY_LENGTH_MAX}}}")


def public_id_fault(text: str) -> str | None:
    """Why this may not be an `eventId` or a `tenantId`, or None if it may."""
    if PUBLIC_ID.fullmatch(text):
        return None
    return f"an id has 1 to {limits.ID_LENGTH_MAX} letters, digits, _ and -"


def ordering_key_fault(text: str) -> str | None:
    """Why this may not be an ordering key, or None if it may."""
    if _ORDERING_KEY.fullmatch(text):
        return None
    return f"an ordering key has 1 to {limits.ORDERING_KEY_LENGTH_MAX} printable ASCII characters"


def unquoted_idempotency_key(value: str) -> str | None:
    """The key in an ``Idempotency-Key`` header, or None if there is none in it.

    The header holds a structured field string, ``"like-this"``, but keys without quotes are
    common. Both forms of the same key are the same key.
    """
    text = value.strip(" \t")
    if text.startswith('"'):
        if len(text) < 2 or not text.endswith('"'):  # noqa: PLR2004 - two quotes
            return None
        text = re.sub(r"\\([\"\\])", r"\1", text[1:-1])
    if not 1 <= len(text) <= limits.IDEMPOTENCY_KEY_LENGTH_MAX:
        return None
    return text if text.isascii() and text.isprintable() else None


def hops_of(value: str) -> int | None:
    """The number in a ``webhook-hops`` header, or None if it is none of up to three digits."""
    text = value.strip(" \t")
    return int(text) if _HOPS.fullmatch(text) else None
