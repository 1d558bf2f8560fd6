"""Documents have one title, and their links lead somewhere."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.tidy import markdown
from tests.tidy.checkout import ROOT, documents, expect_none, named, text


def test_every_document_has_one_title() -> None:
    expect_none(
        (
            f"{named(path)} has {titles}"
            for path in documents()
            if (titles := sum(heading.level == 1 for heading in markdown.headings(text(path)))) != 1
        ),
        "Give each of these one title of the first level:",
    )


def test_links_between_documents_lead_somewhere() -> None:
    expect_none(
        (
            f"{named(path, line)} {target}"
            for path in documents()
            for line, target in markdown.links(text(path))
            if not _leads_somewhere(path, target)
        ),
        "These links lead nowhere:",
    )


def _leads_somewhere(document: Path, target: str) -> bool:
    address = urlsplit(target)
    if address.scheme:
        return True
    place = document.parent / unquote(address.path) if address.path else document
    if not place.resolve().is_relative_to(ROOT) or not place.exists():
        return False
    if not address.fragment or place.suffix != ".md":
        return True
    return address.fragment in {heading.anchor for heading in markdown.headings(text(place))}
