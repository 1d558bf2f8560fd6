"""Figures come into documents where they belong, and cut nothing off."""

from pathlib import Path

import pytest

from tools.pages import DOCS, replace_block

PAGE = "above\n<!-- one -->{}<!-- end of one -->\nbelow\n<!-- two -->\nkept\n<!-- end of two -->\n"


@pytest.mark.parametrize("inside", ["\n", "", "\nold\n", "\n\nold\n\nolder\n\n"])
def test_a_block_is_replaced_whatever_stood_in_it(tmp_path: Path, inside: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.format(inside))
    replace_block(page, "one", "\nnew\n")
    assert page.read_text() == PAGE.format("\nnew\n")


@pytest.mark.parametrize(
    "text",
    [
        "nothing",
        "<!-- one -->",
        "<!-- end of one -->\n<!-- one -->",
        PAGE.format("\n") + PAGE.format("\n"),
    ],
)
def test_a_page_without_the_block_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(SystemExit, match=r"page\.md must have"):
        replace_block(page, "one", "new")
    assert page.read_text() == text


def test_every_block_of_the_documents_has_its_two_ends() -> None:
    for page in DOCS.rglob("*.md"):
        text = page.read_text("utf-8")
        for part in text.split("<!-- end of ")[1:]:
            name = part.partition(" -->")[0]
            assert text.count(f"<!-- {name} -->") == 1, (page.name, name)
            assert text.count(f"<!-- end of {name} -->") == 1, (page.name, name)
