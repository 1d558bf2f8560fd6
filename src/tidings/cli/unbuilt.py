"""Commands that are documented and not built yet: they say so, and do nothing."""

from typing import Final, NoReturn

import typer

from tidings.cli.output import CommandFailed, ExitCode

app = typer.Typer()

_ANYTHING: Final = {"allow_extra_args": True, "ignore_unknown_options": True}


def refuse_unbuilt(what: str) -> NoReturn:
    """End a command that cannot do anything yet."""
    raise CommandFailed(f"{what} is not available in this version", ExitCode.NOT_AVAILABLE)


@app.command("event-types", context_settings=_ANYTHING)
def event_types() -> None:
    """Describe event types. Not available in this version."""
    refuse_unbuilt("the catalogue of event types")
