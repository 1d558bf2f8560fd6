"""`tidings listen` as a process of its own, and what it says."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from tests.support.server import Server

_SECONDS = 30


class ListenCommand:
    """Runs the command against a server from `start` to `stop`; lines are kept as they come."""

    def __init__(self, server: Server, forward_to: str, *options: str) -> None:
        self.out: list[str] = []
        self.err: list[str] = []
        self._changed = threading.Condition()
        command = [sys.executable, "-m", "tidings", "listen", "--forward-to", forward_to, *options]
        self._process = subprocess.Popen(
            [*command, "--server", server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            cwd=server.data_dir.parent,
        )
        self._readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in ((self._process.stdout, self.out), (self._process.stderr, self.err))
        ]
        for one in self._readers:
            one.start()

    def wait_for(self, is_true: Callable[[], bool]) -> None:
        """Wait until what was said is as wished."""
        with self._changed:
            assert self._changed.wait_for(is_true, _SECONDS), (self.out, self.err)

    def until_ready(self) -> "ListenCommand":
        """Wait until it listens."""
        self.said("Forwarding to")
        return self

    def said(self, part: str, times: int = 1) -> str:
        """Wait until a line of its own says this so often; answers the last of them."""
        self.wait_for(lambda: sum(part in line for line in self.err) >= times)
        return [line for line in self.err if part in line][-1]

    def lines(self, count: int) -> list[Any]:
        """The first lines of JSON that it put out."""
        self.wait_for(lambda: len(self.out) >= count)
        return [json.loads(line) for line in self.out[:count]]

    def stop(self) -> int:
        """Press Ctrl-C; answers the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> int:
        """Wait until it ends by itself; answers the exit code."""
        code = self._process.wait(_SECONDS)
        for one in self._readers:
            one.join(_SECONDS)
        for output in (self._process.stdout, self._process.stderr):
            assert output is not None
            output.close()
        return code

    def _read(self, source: TextIO, lines: list[str]) -> None:
        for line in source:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
