"""Nothing in the checkout tells where it was made, and nothing in it was left for later."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.checkout import ROOT, documents, expect_none, files, named, text

# What documents refer to, beside names that can belong to nobody (RFC 2606, RFC 6761).
REFERENCES = {
    "html.spec.whatwg.org",
    "keepachangelog.com",
    "semver.org",
    "www.rfc-editor.org",
    "www.standardwebhooks.com",
}
_NOBODYS = re.compile(
    r"([\w-]+\.)*(example(\.(com|net|org))?|test|invalid|localhost)|127\.[\d.]+|\[::1\]"
)
_HOST = re.compile(r"\bhttps?://(?:[^\s/@]+@)?(\[[\da-f:]+\]|[\w.-]+)", re.IGNORECASE)
_ADDRESS = re.compile(r"://|(?<!--no-emit-)index-url|find-links")
_PIN = re.compile(
    r"""
      \#.*                                            # where it comes from
    | [a-z0-9.-]+==[a-z0-9.]+(\ ;\ [^\\]+)?\ \\       # a name, a version, perhaps a condition
    | --hash=sha256:[0-9a-f]{64}(\ \\)?
    """,
    re.VERBOSE,
)
_LEFT_FOR_LATER = re.compile(r"\b(TO-?DO|FIX-?ME|HACK)\b")
_BINARY = {".png", ".ico", ".woff2"}


def test_no_file_names_a_path_of_this_machine() -> None:
    places = [f"{ROOT}/", f"{Path.home()}/"] if Path.home() != Path("/") else [f"{ROOT}/"]
    expect_none(
        (
            f"{named(path, number)} {line.strip()}"
            for path, number, line in _lines()
            if any(place in line for place in places)
        ),
        "Name places relative to the checkout:",
    )


def test_pinned_requirements_hold_names_versions_and_hashes_alone() -> None:
    expect_none(
        (
            f"{named(path, number)} {line.strip()}"
            for path, number, line in _lines()
            if path.is_relative_to(ROOT / "requirements") and not _PIN.fullmatch(line.strip())
        ),
        "Where packages come from is the reader's own choice; `make lock` leaves it out:",
    )


def test_tooling_names_no_address() -> None:
    tooling = [ROOT / "pyproject.toml", ROOT / "Makefile", *files(ROOT / ".ci")]
    expect_none(
        (
            f"{named(path, number)} {line.strip()}"
            for path, number, line in _lines()
            if path in tooling and _ADDRESS.search(line)
        ),
        "Where packages come from is the reader's own choice:",
    )


def test_documents_name_only_hosts_that_we_chose() -> None:
    expect_none(
        (
            f"{named(path)} {host}"
            for path in documents()
            for host in sorted(set(_HOST.findall(text(path))) - REFERENCES)
            if not _NOBODYS.fullmatch(host)
        ),
        "Write example.com in examples; a new reference goes into REFERENCES:",
    )


def test_nothing_is_left_for_later() -> None:
    expect_none(
        (
            f"{named(path, number)} {line.strip()}"
            for path, number, line in _lines()
            if _LEFT_FOR_LATER.search(line)
        ),
        "Do it now, or file an issue:",
    )


def _lines() -> Iterator[tuple[Path, int, str]]:
    """Every line of every text file but of this one, which has to spell what it forbids."""
    for path in files():
        if path.suffix not in _BINARY and path != Path(__file__):
            for number, line in enumerate(text(path).splitlines(), start=1):
                yield path, number, line
