"""Running a command in this process, and one real server for all commands that talk to one."""

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.receiver import Receiver
from tests.support.server import Server
from tidings.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command, in an empty directory and with the settings given."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **settings: str) -> Ended:
        with monkeypatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(f"TIDINGS_{name}", value)
            with pytest.raises(SystemExit) as left:
                main(arguments)
        written = capfd.readouterr()
        return Ended(int(left.value.code or 0), written.out, written.err)

    return run


def watched(*arguments: str) -> bytes:
    """Run a command in a terminal, where it has to succeed; answers what was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tidings", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown = b""
    # At the end of a terminal's life Linux answers an error instead of nothing.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 4_096):
            shown += part
    os.close(ours)
    assert process.wait(20) == 0, shown
    return shown


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A development server."""
    one = Server(tmp_path_factory.mktemp("server") / "data").start()
    yield one
    one.client.close()
    one.stop()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def tidings(run: Run, server: Server) -> Run:
    """Run a command against the server; it has to succeed unless another code is expected."""

    def tidings(*arguments: str, code: int = 0) -> Ended:
        ended = run(*arguments, SERVER=server.url)
        assert ended.code == code, ended
        assert (ended.err == "") is (code == 0)
        return ended

    return tidings
