"""Standard Webhooks signatures: make them, check them. Takes the time, reads no clock.

The scheme is `v1` of Standard Webhooks 1.0.0: HMAC-SHA256 over ``id.timestamp.body``, written as
``v1,<base64>``. A header may carry several tokens, one for each live secret, separated by spaces;
a receiver accepts the request if any one of them fits.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

__all__ = [
    "KEY_BYTES_MAX",
    "KEY_BYTES_MIN",
    "PLAIN_SECRET_LENGTH_MAX",
    "PLAIN_SECRET_LENGTH_MIN",
    "SECRET_PREFIX",
    "TOLERANCE_SECONDS",
    "InvalidSignature",
    "UnusableSecret",
    "encode_key",
    "is_strong_secret",
    "key_of_secret",
    "sign",
    "signature_header",
    "verify",
]

SECRET_PREFIX: Final = "whsec_"
KEY_BYTES_MIN: Final = 24
KEY_BYTES_MAX: Final = 64
PLAIN_SECRET_LENGTH_MIN: Final = 8
PLAIN_SECRET_LENGTH_MAX: Final = 256
TOLERANCE_SECONDS: Final = 300

_BLOCK_BYTES: Final = hashlib.sha256().block_size
_INNER: Final = bytes(one ^ 0x36 for one in range(256))
_OUTER: Final = bytes(one ^ 0x5C for one in range(256))
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_PLAIN_SECRET = re.compile(r"[\x21-\x7e]+")
_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,256}")


class UnusableSecret(ValueError):
    """The text given as a signing secret cannot become a key; the text says why."""


class InvalidSignature(ValueError):
    """The request does not prove that it comes from a holder of the secret."""


def key_of_secret(secret: str) -> bytes:
    """Turn a signing secret as people write it into the HMAC key.

    ``whsec_`` followed by strict base64 stands for the decoded bytes, 24 to 64 of them. Any other
    text of 8 to 256 visible ASCII characters stands for its own bytes, because secrets such as
    ``whsec_abc123`` are in use. Raises `UnusableSecret` for everything else.
    """
    if not _PLAIN_SECRET.fullmatch(secret):
        raise UnusableSecret("a secret consists of visible ASCII characters without spaces")
    decoded = _decoded_base64(secret)
    if decoded is not None:
        if not KEY_BYTES_MIN <= len(decoded) <= KEY_BYTES_MAX:
            raise UnusableSecret(
                f"a whsec_ secret holds {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes in base64, "
                f"this one holds {len(decoded)}"
            )
        return decoded
    if not PLAIN_SECRET_LENGTH_MIN <= len(secret) <= PLAIN_SECRET_LENGTH_MAX:
        raise UnusableSecret(
            f"a secret has {PLAIN_SECRET_LENGTH_MIN} to {PLAIN_SECRET_LENGTH_MAX} characters"
        )
    return secret.encode("ascii")


def is_strong_secret(secret: str) -> bool:
    """Whether the secret is of the form that Standard Webhooks asks for, not a plain text."""
    decoded = _decoded_base64(secret)
    return decoded is not None and KEY_BYTES_MIN <= len(decoded) <= KEY_BYTES_MAX


def encode_key(key: bytes) -> str:
    """The key in the form that every Standard Webhooks library takes."""
    return SECRET_PREFIX + base64.b64encode(key).decode("ascii")


def sign(key: bytes, webhook_id: str, timestamp_seconds: int, body: bytes) -> str:
    """One signature token, ``v1,<base64>``, over exactly these bytes."""
    before, after = _begun(key)
    inner, outer = before.copy(), after.copy()
    inner.update(b"%b.%d.%b" % (webhook_id.encode("ascii"), timestamp_seconds, body))
    outer.update(inner.digest())
    return "v1," + binascii.b2a_base64(outer.digest(), newline=False).decode("ascii")


def signature_header(
    keys: Iterable[bytes], webhook_id: str, timestamp_seconds: int, body: bytes
) -> str:
    """The value of ``webhook-signature``: a token for each key, in the order given."""
    return " ".join([sign(key, webhook_id, timestamp_seconds, body) for key in keys])


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Iterable[str],
    *,
    now_seconds: int,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> str:
    """Check a received request and answer its ``webhook-id``.

    Header names are compared without regard to case. Raises `InvalidSignature` for anything that
    is missing, malformed, too old, too far in the future or signed by somebody else, and
    `UnusableSecret` if one of the receiver's own secrets is none.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    webhook_id = lowered.get("webhook-id", "")
    timestamp = lowered.get("webhook-timestamp", "")
    if not _ID.fullmatch(webhook_id):
        raise InvalidSignature("the webhook-id header is missing or malformed")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise InvalidSignature("the webhook-timestamp header is missing or malformed")
    seconds = int(timestamp)
    if abs(now_seconds - seconds) > tolerance_seconds:
        raise InvalidSignature("the request is too old, or one of the two clocks is wrong")
    offered = [
        token.encode("ascii")
        for token in lowered.get("webhook-signature", "").split(" ")
        if token.startswith("v1,") and token.isascii()
    ]
    for secret in secrets:
        expected = sign(key_of_secret(secret), webhook_id, seconds, body).encode("ascii")
        for token in offered:
            if hmac.compare_digest(expected, token):
                return webhook_id
    raise InvalidSignature("no signature fits any of the secrets")


@lru_cache(maxsize=10_000)
def _begun(key: bytes) -> tuple[Any, Any]:
    """The two hashes of an HMAC once they have seen the key (RFC 2104), ready to be copied.

    To begin anew with the key for each signature takes twice as long as all the rest.
    """
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    block = key.ljust(_BLOCK_BYTES, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


def _decoded_base64(secret: str) -> bytes | None:
    """The bytes behind ``whsec_``, or None where the rest is not strict base64."""
    if not secret.startswith(SECRET_PREFIX):
        return None
    text = secret[len(SECRET_PREFIX) :]
    try:
        decoded = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    if base64.b64encode(decoded).decode("ascii") != text:
        # Libraries disagree on such a text, so a receiver might end up with another key than we.
        raise UnusableSecret("the base64 behind whsec_ has stray bits at its end")
    return decoded
