"""One concept, one word: names are made of the glossary's words, not of their rivals."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.checkout import SOURCE, expect_none, files, named, source_modules, syntax_tree, text

INSTEAD = {
    "common": "the idea that the two users share",
    "helper": "what it does",
    "hook": "subscription, or what is called when",
    "job": "delivery, or replay",
    "manager": "what it does",
    "message": "event; for a person's eyes: detail, text or line",
    "misc": "one file for each idea",
    "notification": "event, or delivery",
    "task": "delivery; for what asyncio runs: what it does (the loop, the flush, `_running`)",
    "util": "what it does",
}
# What a library calls by a name of its choosing.
# the parser of HTTP, and uvicorn's protocol
CALLBACKS = frozenset(
    {"message_event", "on_message_begin", "on_message_complete", "_start_asgi_task"}
)
# In the rules and the verbs, nothing handles: something is decided, published, recorded.
INSTEAD_IN_THE_DOMAIN = {"handler": "the verb that it stands for"}
DOMAIN = ("core", "ports", "operations", "engine")

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SQL_COMMENT_OR_TEXT = re.compile(r"--.*|/\*.*?\*/|'[^']*'", re.DOTALL)


def test_names_in_code_use_our_words() -> None:
    expect_none(
        (
            finding
            for path in source_modules()
            for name, line in _names(syntax_tree(path))
            for finding in _findings(path, name, line)
        ),
        "Name these by docs/glossary.md:",
    )


def test_names_in_the_database_use_our_words() -> None:
    expect_none(
        (
            finding
            for path in files(SOURCE)
            if path.suffix == ".sql"
            for name in sorted(set(re.findall(r"\w+", _SQL_COMMENT_OR_TEXT.sub("", text(path)))))
            for finding in _findings(path, name, None)
        ),
        "Name these by docs/glossary.md:",
    )


def test_files_and_folders_use_our_words() -> None:
    expect_none(
        (
            finding
            for path in files(SOURCE)
            for part in path.relative_to(SOURCE).parts
            for finding in _findings(path, part.removesuffix(path.suffix), None)
        ),
        "Name these files by docs/glossary.md:",
    )


@pytest.mark.parametrize(
    "name", ["RetryManager", "_job_id", "HTTPMessage", "utils", "on_task_done", "Webhook"]
)
def test_rivals_of_our_words_are_found(name: str) -> None:
    assert list(_findings(SOURCE / "core", name, 1))


@pytest.mark.parametrize("name", ["webhook_id", "commonly", "hooked", "retry_after_ms"])
def test_other_words_are_let_through(name: str) -> None:
    assert not list(_findings(SOURCE / "core", name, 1))


def _findings(path: Path, name: str, line: int | None) -> Iterator[str]:
    instead = INSTEAD
    if path.relative_to(SOURCE).parts[0] in DOMAIN:
        instead = INSTEAD | INSTEAD_IN_THE_DOMAIN
    words = [word.lower().removesuffix("s") for word in _WORD.findall(name)]
    for word in words:
        if word in instead:
            yield f"{named(path, line)} {name}: not {word!r} but {instead[word]}"
    if words == ["webhook"]:
        yield f"{named(path, line)} {name}: 'webhook' alone means nothing; which part of one?"


def _names(module: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that we chose, where we chose it; names of libraries are only ever read."""
    for node in ast.walk(module):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if node.name not in CALLBACKS:
                    yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(id=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name, node.lineno
