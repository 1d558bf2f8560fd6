"""The counts in docs/security.md: how they are put together, and that they stand there."""

import json
from pathlib import Path

from tests.support.tally import FAMILIES, NEVER, family_of
from tests.tidy.checkout import ROOT
from tools.pages import DOCS, block
from tools.security_counts import counted, table


def test_the_document_has_every_family_and_a_zero_for_what_must_not_happen() -> None:
    written = block(DOCS / "security.md", "counts")
    for family in FAMILIES.values():
        assert f"| {family} | 0 |" not in written
        assert f"| {family} | " in written
    for name in NEVER:
        assert f"| {name} | 0 |" in written


def test_the_counts_of_all_processes_are_added_up(tmp_path: Path) -> None:
    family = FAMILIES["tests/api"]
    for number in (1, 2):
        rows = [[family, "404 not_found", number], [family, "answered 500", number]]
        (tmp_path / f"{number}.json").write_text(json.dumps(rows), "utf-8")
    text = table(counted(tmp_path))
    assert f"| {family} | 3 | 3 404 not_found |" in text
    assert "| answered 500 | 3 |" in text


def test_every_family_has_tests() -> None:
    for place, family in FAMILIES.items():
        assert (ROOT / place).exists()
        assert family_of(place) == family
    assert not family_of("tests/core/test_retry.py")
