"""Reading what people type: JSON, files, names with values, and the members of a retry policy."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tidings.cli.output import refuse


def json_object(text: str) -> str:
    """The JSON object in ``JSON``, ``@file`` or ``-``, as it was written.

    The text itself is passed on, so that its numbers and spelling stay what they are.
    """
    source = "the data"
    if text == "-":
        source, text = "standard input", sys.stdin.read()
    elif text.startswith("@"):
        source = text[1:]
        try:
            text = Path(source).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            refuse(f"cannot read {source}: {_reason(fault)}")
    try:
        value = json.loads(text)
    except ValueError as fault:
        refuse(f"{source} is not JSON: {fault}")
    if not isinstance(value, dict):
        refuse(f"{source} must be a JSON object, like {{}}")
    return text.strip()


def named_values(texts: Sequence[str] | None, separator: str, option: str) -> dict[str, str] | None:
    """The names and values in texts such as ``team=orders``; None if there are none."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, mark, value = text.partition(separator)
        if not mark or not name.strip():
            refuse(f"{option} is given as name{separator}value, not as {text!r}")
        found[name.strip()] = value.strip()
    return found or None


def retry_policy(text: str | None) -> dict[str, Any] | None:
    """A retry policy written as waits, ``5,300,1800``, or as the JSON of the API."""
    if text is None:
        return None
    if text.lstrip().startswith("{"):
        policy = json.loads(json_object(text))
        return dict(policy)
    try:
        return {"schedule": [_number(part) for part in text.split(",") if part.strip()]}
    except ValueError:
        refuse(f"--retry takes waits in seconds, such as 5,300,1800, or JSON, not {text!r}")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("JSON has no such number")
    return int(number) if number.is_integer() else number


def _reason(fault: OSError | UnicodeDecodeError) -> str:
    return fault.strerror or str(fault) if isinstance(fault, OSError) else "it is not UTF-8"
