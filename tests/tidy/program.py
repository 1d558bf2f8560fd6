"""What the program would say to a command line, by the same definitions that it parses with."""

from collections.abc import Iterator, Sequence

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from tidings.cli.main import app

STAND_INS = {"…", "...", "<", "COMMAND"}


def command_faults(words: Sequence[str]) -> Iterator[str]:
    """What is wrong with the words behind `tidings`.

    Walks down the groups of commands, and holds each option to the command it follows.
    """
    command: object = typer.main.get_command(app)
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
