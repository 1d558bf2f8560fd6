"""What the tests of security try and what came of it, counted for the table in docs/security.md.

Nothing is counted unless the environment names a folder in `SECURITY_TALLY`; each process of a run
leaves one file there. ``python -m tools.security_counts`` does that and writes the table.
"""

import json
import os
import uuid
from collections import Counter
from pathlib import Path

FOLDER_VARIABLE = "SECURITY_TALLY"
FAMILIES = {
    "tests/core/test_addresses.py": "addresses and networks",
    "tests/core/test_callback_urls.py": "callback URLs",
    "tests/contracts/transport": "answers of hostile receivers",
    "tests/transport": "answers of hostile receivers",
    "tests/security/test_rebinding.py": "names that change their addresses",
    "tests/security/rebinding_cases.py": "names that change their addresses",
    "tests/security/test_secrets_sweep.py": "secrets, looked for in all that came out",
    "tests/security/test_tenants.py": "other tenants' ids, other scopes, revoked keys",
    "tests/api/test_schemathesis.py": "requests made up from the OpenAPI document",
    "tests/api": "requests to the API",
    "tests/fuzz": "made-up texts for the parsers",
}
"""The family of what a test tries, by where it stands; the first that fits counts."""
TABLES = ("addresses and networks", "callback URLs")
"""Families whose tests are rows of tables: each counts as one input."""
NEVER = ("answered 500", "connections to refused addresses", "secrets found")
"""Results that must not occur. They are counted, so that their zero is one that was looked for."""

_counts: Counter[tuple[str, str]] = Counter()
_current = ""


def family_of(path: str) -> str:
    """The family of the tests in a file; empty if they belong to none."""
    return next((name for place, name in FAMILIES.items() if path.startswith(place)), "")


def begin(path: str) -> None:
    """From here on, count for the family of this file."""
    global _current  # noqa: PLW0603 - one test runs at a time in a process
    _current = family_of(path)
    if _current in TABLES:
        count("judged as the table says")


def count(result: str, number: int = 1) -> None:
    """Count a result for the family of the test that runs."""
    if _current:
        _counts[_current, result] += number


def count_answer(status: int, code: str | None = None) -> None:
    """Count an answer of the API."""
    count(f"{status} {code}" if code else f"{status}")
    count("answered 500", int(status == 500))


def leave() -> None:
    """Write what was counted into the folder, if somebody asked for it."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and _counts:
        rows = [[family, result, number] for (family, result), number in _counts.items()]
        Path(folder, f"{uuid.uuid4()}.json").write_text(json.dumps(rows), "utf-8")
