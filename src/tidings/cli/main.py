"""The command `tidings`: its commands, and how each of them ends."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from tidings import __version__
from tidings.cli import (
    database,
    dead_letters,
    deliveries,
    demo,
    event_types,
    events,
    keys,
    listen,
    publish,
    serve,
    subscriptions,
)
from tidings.cli.command import load_settings
from tidings.cli.output import CommandFailed, ExitCode, visible

app = typer.Typer(
    name="tidings",
    help="A self-hosted webhooks platform: signed, durable, fair delivery of events.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for one in (serve, demo, publish, listen):
    app.add_typer(one.app)
for name, several in (
    ("subscriptions", subscriptions),
    ("events", events),
    ("event-types", event_types),
    ("deliveries", deliveries),
    ("dead-letters", dead_letters),
    ("keys", keys),
    ("database", database),
):
    app.add_typer(several.app, name=name)


def _show_version(is_wanted: bool) -> None:  # noqa: FBT001 - Typer's callbacks are so
    if is_wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and leave.",
            callback=_show_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """A self-hosted webhooks platform: signed, durable, fair delivery of events."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit code: one line says what went wrong, never a trace."""
    try:
        code = app(arguments, prog_name="tidings", standalone_mode=False)
    except CommandFailed as failure:
        code = _fail(failure.line, failure.code)
    except typer.TyperException as fault:
        code = _fail_usage(fault)
    except (typer.Abort, KeyboardInterrupt):
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `head` does; nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.FAILED
    except Exception as bug:  # noqa: BLE001 - the last line of defence of a person's terminal
        code = _fail_unexpectedly(bug)
    sys.exit(code or ExitCode.OK)


def _fail(line: str, code: ExitCode) -> ExitCode:
    typer.echo(f"tidings: {visible(line)}", err=True)
    return code


def _fail_usage(fault: typer.TyperException) -> int:
    """A fault that Typer found in how the command was called."""
    context = getattr(fault, "ctx", None)
    line = fault.format_message().rstrip(".")
    if not line:  # it has shown what there is
        return fault.exit_code
    if context is not None:
        line += f" (see {context.command_path} --help)"
    _fail(line, ExitCode.USAGE)
    return fault.exit_code


def _fail_unexpectedly(bug: Exception) -> ExitCode:
    """What nobody foresaw. The trace is for those who ask for it."""
    try:
        is_debugging = load_settings().log_level == "debug"
    except CommandFailed:
        is_debugging = False
    if is_debugging:
        traceback.print_exception(bug)
    return _fail(
        f"an error in Tidings: {type(bug).__name__}: {bug} (TIDINGS_LOG_LEVEL=debug shows where)",
        ExitCode.FAILED,
    )
