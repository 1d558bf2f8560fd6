"""What `docs/security.md` says of tests is true: they exist, and no requirement is forgotten."""

import re

from tests.tidy.checkout import ROOT, expect_none, text

DOCUMENT = ROOT / "docs" / "security.md"
_PLACE = re.compile(r"`(tests/[\w/.]+)`")
_ROW = re.compile(r"^\| ([A-Z]+-\d\d) \| ([a-z ]+) \| (.*) \| (.*) \|$", re.MULTILINE)
FAMILIES = {
    "URL": 4,
    "IP": 5,
    "NET": 8,
    "LIM": 9,
    "HDR": 3,
    "IN": 5,
    "API": 6,
    "ID": 5,
    "SEC": 7,
    "TEN": 6,
    "OWN": 7,
    "SCH": 3,
}


def test_every_test_that_is_named_exists() -> None:
    places = set(_PLACE.findall(text(DOCUMENT)))
    assert len(places) > 20
    missing = (one for one in sorted(places) if not (ROOT / one).exists())
    expect_none(missing, "docs/security.md names tests that are not there:")


def test_every_requirement_has_its_state_and_its_tests() -> None:
    rows = _ROW.findall(text(DOCUMENT))
    assert [row[0] for row in rows] == [
        f"{family}-{number:02}"
        for family, count in FAMILIES.items()
        for number in range(1, count + 1)
    ]
    for requirement, state, _, tests in rows:
        assert state in {"done", "partly", "not yet", "refused"}, requirement
        assert _PLACE.search(tests), requirement
