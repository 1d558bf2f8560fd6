"""How commands end: an exit code, and one line where something went wrong."""

import subprocess
import sys

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from tests.cli.conftest import Run
from tests.tidy.checkout import ROOT
from tidings import __version__
from tidings.cli import main as program
from tidings.cli.main import app


def commands() -> dict[str, TyperCommand]:
    """Every command by its full name."""
    top = typer.main.get_command(app)
    assert isinstance(top, TyperGroup)
    found: dict[str, TyperCommand] = {}
    for name, command in top.commands.items():
        inner = command.commands if isinstance(command, TyperGroup) else {"": command}
        for rest, one in inner.items():
            assert isinstance(one, TyperCommand)
            found[f"{name} {rest}".rstrip()] = one
    return found


COMMANDS = commands()
LONE = {"serve", "demo", "database copy"}
"""Those that answer nothing."""


def test_the_commands_are_those_of_the_contract() -> None:
    groups = {
        "subscriptions": "create list show update delete pause resume disable verify "
        "rotate-secret test test-filter replay stats",
        "events": "list show replay",
        "deliveries": "list show retry cancel",
        "dead-letters": "list replay discard",
        "event-types": "list show set delete import",
        "keys": "create list revoke",
        "database": "migrate check backup copy audit keys reencrypt",
    }
    assert set(COMMANDS) == {
        *("serve", "demo", "publish", "listen"),
        *(f"{name} {one}" for name, several in groups.items() for one in several.split()),
    }


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - LONE))
def test_every_command_that_answers_can_answer_json(name: str) -> None:
    options = {
        text for one in COMMANDS[name].params if isinstance(one, TyperOption) for text in one.opts
    }
    assert "--json" in options
    assert name.startswith("database") or {"--server", "--api-key", "--tenant"} <= options


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(run: Run, name: str) -> None:
    ended = run(*name.split(), "--help")
    assert ended.code == 0
    assert name.rsplit(maxsplit=1)[-1] in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["events", "nonsense"],
        ["events", "show"],
        ["events", "list", "--nonsense"],
        ["events", "list", "--limit", "many"],
        ["publish", "order.shipped", "--data", "[1]"],
        ["serve", "--port", "0"],
        ["serve", "--port", "http"],
    ],
)
def test_a_command_that_makes_no_sense_is_one_line(run: Run, arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("tidings: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["database", "copy"],
    ],
)
def test_what_is_not_built_yet_says_so(run: Run, arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.code == 7
    assert "this version" in ended.err
    assert ended.err.count("\n") == 1


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out == f"{__version__}\n"


def test_a_command_without_arguments_shows_what_there_is(run: Run) -> None:
    for arguments in ([], ["events"]):
        ended = run(*arguments)
        assert ended.code == 2
        assert "Commands" in ended.out + ended.err


def test_a_bug_is_one_line_and_its_trace_is_for_those_who_ask(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr(program, "app", break_down)
    ended = run("events", "list")
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "ZeroDivisionError: oh\\x0ano" in ended.err
    assert "Traceback" in run("events", "list", LOG_LEVEL="debug").err


def test_ctrl_c_is_no_failure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "app", interrupt)
    ended = run("events", "list")
    assert (ended.code, ended.err) == (130, "")


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    ended = subprocess.run(
        f"{sys.executable} -m tidings --help | head -n 1",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""


def test_help_comes_without_what_only_servers_need() -> None:
    heavy = "{'aiodns', 'apsw', 'httpx2', 'pydantic', 'uvicorn'}"
    code = f"import sys, tidings.cli.main; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
