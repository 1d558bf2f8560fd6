"""What people can set and what the platform can refuse stands in the reference."""

from collections.abc import Iterator

from tests.tidy.checkout import ROOT, expect_none, text
from tidings.core.refusals import Refusal
from tidings.settings import Settings

REFERENCE = ROOT / "docs" / "reference"


def test_every_setting_is_documented() -> None:
    page = text(REFERENCE / "settings.md")
    expect_none(
        (
            f"`{name}`"
            for name in (f"TIDINGS_{field.upper()}" for field in Settings.model_fields)
            if f"`{name}`" not in page
        ),
        "docs/reference/settings.md lacks:",
    )


def test_every_refusal_is_documented() -> None:
    pages = "".join(text(path) for path in sorted(REFERENCE.glob("*.md")))
    expect_none(
        (f"`{code}`" for code in sorted(_codes(Refusal)) if f"`{code}`" not in pages),
        "No page of docs/reference tells what these refusals mean:",
    )


def _codes(refusal: type[Refusal]) -> Iterator[str]:
    if refusal.code:
        yield refusal.code
    for narrower in refusal.__subclasses__():
        yield from _codes(narrower)
