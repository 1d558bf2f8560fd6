"""What commands show, and the exit code that each refusal becomes."""

import json
from collections.abc import Iterator

import pytest

from tidings.cli.output import MEANINGS, Answer, ExitCode, Screen, exit_code_of, shown, words
from tidings.core.refusals import (
    EventIdConflict,
    MissingScope,
    NotAvailable,
    NotFound,
    Refusal,
    Unavailable,
    ValidationFailed,
)


def leaves(refusal: type[Refusal]) -> Iterator[type[Refusal]]:
    if refusal.code:
        yield refusal
    for narrower in refusal.__subclasses__():
        yield from leaves(narrower)


@pytest.mark.parametrize("refusal", list(leaves(Refusal)))
def test_every_refusal_has_an_exit_code(refusal: type[Refusal]) -> None:
    assert exit_code_of(refusal) not in (ExitCode.OK, ExitCode.FAILED)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (ValidationFailed, 2),
        (NotFound, 3),
        (MissingScope, 4),
        (EventIdConflict, 5),
        (Unavailable, 6),
        (NotAvailable, 7),
    ],
)
def test_exit_codes_are_what_scripts_rely_on(refusal: type[Refusal], code: int) -> None:
    assert exit_code_of(refusal) == code


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ([], "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1.5, "1.5"),
        ("café", "café"),
        (["a", "b"], "a, b"),
        ({"a": [1]}, '{"a": [1]}'),
        ("\x1b[2J\r\nx", "\\x1b[2J\\x0d\\x0ax"),
        (["\x9b1m"], "\\x9b1m"),
    ],
)
def test_values_are_shown_so_that_no_terminal_obeys_them(value: object, text: str) -> None:
    assert shown(value) == text


def test_members_are_named_in_words() -> None:
    assert words("nextAttemptAt") == "next attempt at"


ONE_PAGE = Answer(
    json.dumps(
        {"items": [{"id": "a", "n": 1}, {"id": "long", "n": None}], "nextCursor": "c1"}
    ).encode()
)


def test_a_page_is_aligned_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().page(ONE_PAGE, {"it": "id", "count": "n"})
    assert capsys.readouterr().out.splitlines() == [
        "it    count",
        "a     1",
        "long  -",
        "There are more: --cursor c1",
    ]


def test_json_is_passed_on_byte_for_byte(capsys: pytest.CaptureFixture[str]) -> None:
    raw = '{"items":[] ,  "nextCursor":null,"n":1.0,"u":"é"}'
    screen = Screen(is_json=True)
    screen.page(Answer(raw.encode()), {"it": "id"})
    screen.line("nothing for people")
    assert capsys.readouterr().out == raw + "\n"


def test_an_empty_answer_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(is_json=True).answer(Answer(b""), "It is gone.")
    assert capsys.readouterr().out == ""


def test_nobody_watches_a_pipe() -> None:
    screen = Screen()
    assert not screen.is_watched
    with screen.progress("Working") as progress:
        progress.reached(1, 2)
