"""Every `tidings` command that a document shows is one that the program would take."""

from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from tests.tidy import markdown
from tests.tidy.checkout import documents, expect_none, named, text
from tidings.cli.main import app

STAND_INS = {"…", "...", "<", "COMMAND"}


def test_tidings_commands_in_documents_exist() -> None:
    program = typer.main.get_command(app)
    expect_none(
        (
            f"{named(path, line)} {' '.join(words)}: {fault}"
            for path in documents()
            for line, words in markdown.commands(text(path))
            if words[0].rsplit("/")[-1] == "tidings"
            for fault in _faults(program, words[1:])
        ),
        "The program would refuse these commands:",
    )


def _faults(command: object, words: list[str]) -> Iterator[str]:
    """Walk down the groups of commands, and hold each option to the command it follows."""
    remaining = iter(words)
    for word in remaining:
        if word in STAND_INS:
            return
        if word.startswith("-") and word != "-":
            name, separator, _ = word.partition("=")
            option = _options(command).get(name)
            if option is None and name != "--help":
                yield f"no option {name}"
            elif option is not None and not option.is_flag and not separator:
                next(remaining, None)
        elif isinstance(command, TyperGroup):
            if word not in command.commands:
                yield f"no command {word}"
                return
            command = command.commands[word]


def _options(command: object) -> dict[str, TyperOption]:
    assert isinstance(command, TyperGroup | TyperCommand)
    return {
        name: option
        for option in command.params
        if isinstance(option, TyperOption)
        for name in (*option.opts, *option.secondary_opts)
    }
