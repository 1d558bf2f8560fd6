"""Figures in documents: each block stands between two comments that name it, and a run replaces it.

<!-- crash figures -->
…
<!-- end of crash figures -->
"""

from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"


def block(page: Path, name: str) -> str:
    """What stands in a block of a page now."""
    begin, end = _marks(name)
    return page.read_text("utf-8").partition(begin)[2].partition(end)[0].strip()


def replace_block(page: Path, name: str, text: str) -> None:
    """Put text between the comments that name a block, which may be empty.

    Raises `SystemExit`, with a line for people, if the page has not each of them once, in order.
    """
    begin, end = _marks(name)
    document = page.read_text("utf-8")
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    is_there = document.count(begin) == document.count(end) == 1 and document.find(begin) < (
        document.find(end)
    )
    if not is_there:
        raise SystemExit(f"{page.name} must have “{begin}” and “{end}” once, in this order")
    page.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}", "utf-8")


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- end of {name} -->"
