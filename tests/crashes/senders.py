"""Which process holds the other end of a connection, as the kernel has it.

Looked for are the processes that were started by whoever started this one. Connections that came
together are looked up together.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_SOCKETS = Path("/proc/net/tcp")
_LOCAL, _PEER, _INODE = 1, 2, 9


class Senders:
    """The processes that are connected to a port of ours."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._starter = os.getppid()
        self._found: dict[int, int] = {}
        self._awaited: set[int] = set()

    def connected(self, port: int) -> None:
        """Somebody has connected from a port; look who it is, before it is gone."""
        if not self._awaited:
            asyncio.get_running_loop().call_soon(self._look)
        self._awaited.add(port)

    def of(self, port: int) -> int:
        """The process that connected from a port; 0 if it was gone already."""
        if port in self._awaited:
            self._look()
        return self._found[port]

    def _look(self) -> None:
        if not self._awaited:
            return
        ports = dict(self._awaited_inodes())
        self._found.update(dict.fromkeys(self._awaited, 0))
        self._awaited.clear()
        for process in self._siblings():
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                for opened in Path(f"/proc/{process}/fd").iterdir():
                    with suppress(FileNotFoundError):
                        port = ports.get(str(opened.readlink()))
                        if port is not None:
                            self._found[port] = process

    def _awaited_inodes(self) -> Iterator[tuple[str, int]]:
        peer = f":{self._port:04X}"
        for line in _SOCKETS.read_text().splitlines()[1:]:
            parts = line.split()
            if parts[_PEER].endswith(peer):
                port = int(parts[_LOCAL].rpartition(":")[2], 16)
                if port in self._awaited:
                    yield f"socket:[{parts[_INODE]}]", port

    def _siblings(self) -> Iterator[int]:
        for started in Path(f"/proc/{self._starter}/task").glob("*/children"):
            with suppress(FileNotFoundError):
                yield from map(int, started.read_text().split())
