"""Commands that are documented and not built yet: they say so, and do nothing."""

from typing import NoReturn

from tidings.cli.output import CommandFailed, ExitCode


def refuse_unbuilt(what: str) -> NoReturn:
    """End a command that cannot do anything yet."""
    raise CommandFailed(f"{what} is not available in this version", ExitCode.NOT_AVAILABLE)
