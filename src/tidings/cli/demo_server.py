"""The server of the demonstration: the real one, as a process of its own, on passing data."""

import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tidings.cli.output import CommandFailed, ExitCode
from tidings.cli.remote import Remote
from tidings.settings import without_settings

_LOOKS: Final = 400
_PAUSE_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 15


@contextmanager
def development_server() -> Iterator[tuple[Remote, str]]:
    """A server while the story lasts; answers a way to talk to it and the command that ran it."""
    with tempfile.TemporaryDirectory(prefix="tidings-demo-") as folder:
        port, data_dir, log = _free_port(), Path(folder) / "data", Path(folder) / "log"
        options = ["serve", "--dev", "--port", str(port), "--data-dir", str(data_dir)]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - it is our own program
                [sys.executable, "-m", "tidings", *options],
                env=without_settings(),
                stdout=output,
                stderr=output,
            )
        try:
            with Remote(f"http://127.0.0.1:{port}", None) as remote:
                _await_readiness(remote, process, log)
                yield remote, " ".join(["tidings", *options])
        finally:
            _stop(process)


def _await_readiness(remote: Remote, process: subprocess.Popen[bytes], log: Path) -> None:
    pause = threading.Event()
    for _ in range(_LOOKS):
        if process.poll() is not None:
            break
        try:
            remote.get("health", "ready")
        except CommandFailed:
            pause.wait(_PAUSE_SECONDS)
        else:
            return
    last = log.read_text("utf-8", "replace").strip().rsplit("\n", 1)[-1]
    raise CommandFailed(f"the server did not start: {last}", ExitCode.BAD_RESULT)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
