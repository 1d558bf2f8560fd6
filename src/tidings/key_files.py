"""Keys in files that only their owner can read."""

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path

from tidings.storage.sealing import KEY_BYTES, key_name


class UnusableKeyFile(OSError):
    """The file does not hold a key; the text says which file."""


def write_private(path: Path, text: str) -> None:
    """Write a new file for its owner alone. It is whole or not there, whatever happens."""
    unfinished = path.with_name(path.name + ".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_or_make_key(path: Path, new_key: Callable[[], bytes]) -> bytes:
    """The key in a file, in base64; a new one where there is no file yet.

    Raises `UnusableKeyFile` for a file that holds something else.
    """
    if not path.exists():
        write_key(path, new_key())
    return read_key(path)


def read_key(path: Path) -> bytes:
    """The key in a file. Raises `UnusableKeyFile`, and `OSError` where it cannot be read."""
    try:
        key = base64.b64decode(path.read_text("ascii").strip(), validate=True)
    except (binascii.Error, UnicodeDecodeError):
        key = b""
    if len(key) != KEY_BYTES:
        raise UnusableKeyFile(f"the file {path} does not hold an encryption key in base64")
    return key


def write_key(path: Path, key: bytes) -> None:
    """Write a key into a new file for its owner alone."""
    write_private(path, base64.b64encode(key).decode() + "\n")


def next_key_path(path: Path) -> Path:
    """Where the key stands that is about to follow the one in a file."""
    return path.with_name(path.name + ".next")


def kept_key_path(path: Path) -> Path:
    """Where the present key of a file is kept when another one follows, for backups."""
    return path.with_name(f"{path.name}.{key_name(read_key(path))}")


def install_next_key(path: Path, fits: Callable[[bytes], bool]) -> bool:
    """Let the next key take the place of the present one, which is kept beside it.

    It does so only if there is one and the database `fits` it. A change of the key that was cut
    short after the database had changed is completed by this.
    """
    following = next_key_path(path)
    if not following.exists() or not fits(read_key(following)):
        return False
    if path.exists():
        write_key(kept_key_path(path), read_key(path))
    following.replace(path)
    return True
