"""Secrets at rest: sealed with AES-256-GCM under a key that is kept outside the database.

A sealed value is a format byte, four bytes that name the key, a random nonce and the ciphertext.
What it belongs to (its kind, tenant and id) is authenticated with it, so that a value moved to
another row does not open.
"""

import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_FORMAT: Final = b"\x01"
_KEY_NAME_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_HEAD_BYTES: Final = 1 + _KEY_NAME_BYTES + _NONCE_BYTES


class CannotOpen(Exception):
    """The value was sealed with another key, for another row, or has been damaged."""


class Sealer:
    """Seals with one key, and opens what was sealed with that key or an older one."""

    def __init__(self, key: bytes, *older_keys: bytes) -> None:
        self._current = _name_of(key)
        self._ciphers = {_name_of(one): AESGCM(one) for one in (key, *older_keys)}

    def seal(self, value: bytes, belongs_to: str) -> bytes:
        """The value, readable only with the key and for what it belongs to."""
        nonce = os.urandom(_NONCE_BYTES)  # noqa: TID251 - never repeatable, not even in a test
        cipher = self._ciphers[self._current]
        return _FORMAT + self._current + nonce + cipher.encrypt(nonce, value, belongs_to.encode())

    def open(self, sealed: bytes, belongs_to: str) -> bytes:
        """The value within. Raises `CannotOpen`."""
        cipher = self._ciphers.get(sealed[1 : 1 + _KEY_NAME_BYTES])
        if sealed[:1] != _FORMAT or cipher is None:
            raise CannotOpen("sealed with a key that is not at hand")
        nonce = sealed[1 + _KEY_NAME_BYTES : _HEAD_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[_HEAD_BYTES:], belongs_to.encode())
        except InvalidTag:
            raise CannotOpen("damaged, or moved from another row") from None


def key_name(key: bytes) -> str:
    """The name by which a key is told from others; it says nothing about the key."""
    return _name_of(key).hex()


def _name_of(key: bytes) -> bytes:
    assert len(key) == KEY_BYTES
    return hashlib.sha256(b"tidings key name" + key).digest()[:_KEY_NAME_BYTES]
