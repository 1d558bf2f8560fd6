"""Every `make` command that a document shows is there, and every one that is there tells itself."""

import re

from tests.tidy import markdown
from tests.tidy.checkout import ROOT, documents, expect_none, named, text

_TARGET = re.compile(r"^([a-z-]+):(?!=)(.*)$", re.MULTILINE)
_PHONY = re.compile(r"^\.PHONY: (.*)$", re.MULTILINE)
_TARGETS = {name for name, _ in _TARGET.findall(text(ROOT / "Makefile"))}


def test_make_commands_in_documents_exist() -> None:
    expect_none(
        (
            f"{named(path, line)} make {word}"
            for path in documents()
            for line, words in markdown.commands(text(path))
            if words[0] == "make"
            for word in words[1:]
            if "=" not in word and word not in _TARGETS
        ),
        f"The Makefile has {', '.join(sorted(_TARGETS))}, but not these:",
    )


def test_make_targets_are_never_taken_for_files() -> None:
    phony = {name for names in _PHONY.findall(text(ROOT / "Makefile")) for name in names.split()}
    expect_none(sorted(_TARGETS - phony), "Declare these .PHONY:")


def test_make_prints_what_each_command_does() -> None:
    inner = {"runtime", "dev"}
    expect_none(
        (
            name
            for name, rest in _TARGET.findall(text(ROOT / "Makefile"))
            if "## " not in rest and not inner.issuperset(name.split())
        ),
        "Say after ## what these do:",
    )


def test_ci_runs_what_people_run() -> None:
    assert "exec make test\n" in text(ROOT / ".ci" / "run")
