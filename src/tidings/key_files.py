"""Keys in files that only their owner can read."""

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path


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
        write_private(path, base64.b64encode(new_key()).decode() + "\n")
    try:
        key = base64.b64decode(path.read_text("ascii").strip(), validate=True)
    except (binascii.Error, UnicodeDecodeError):
        key = b""
    if len(key) != len(new_key()):
        raise UnusableKeyFile(f"the file {path} does not hold an encryption key in base64")
    return key
