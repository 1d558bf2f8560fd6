"""Which process holds the other end of each connection to a port, as the kernel has it.

Run it: ``python -m tests.crashes.senders PORT LOG``. It looks many times a second, beside the
receivers, so that these are never slow. Looked for are the processes that were started by whoever
started this one. Each connection that is found gets a line in the log: the moment of the look
before that, its port at the other end, and its process; and one more with nobody when it is gone.
"""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

_EVERY_SECONDS = 0.05
_SOCKETS = Path("/proc/net/tcp")
_LOCAL, _PEER, _INODE = 1, 2, 9
_NO_INODE = "0"
_NOBODY = 0


def senders_of(log: Path) -> Callable[[int, int], int]:
    """Read a log: which process held a port at a moment; 0 if nobody looked meanwhile."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for line in log.read_text().splitlines():
        at_ms, port, process = map(int, line.split())
        found[port].append((at_ms, process))

    def sender(port: int, at_ms: int) -> int:
        before = [process for since_ms, process in found.get(port, []) if since_ms <= at_ms]
        return before[-1] if before else 0

    return sender


def note(port: int, log: Path) -> None:
    """Look for ever."""
    starter = os.getppid()
    known: dict[str, int] = {}
    looked_ms = 0
    with log.open("a", buffering=1) as file:
        while True:
            before_ms, looked_ms = looked_ms, round(time.time() * 1_000)
            present = dict(_connections(port))
            for inode in known.keys() - present.keys():
                file.write(f"{looked_ms} {known.pop(inode)} {_NOBODY}\n")
            awaited = {inode: one for inode, one in present.items() if inode not in known}
            if awaited:
                for inode, process in _holders(starter, awaited):
                    known[inode] = awaited[inode]
                    file.write(f"{before_ms} {awaited[inode]} {process}\n")
            time.sleep(_EVERY_SECONDS)


def _connections(port: int) -> Iterator[tuple[str, int]]:
    """The sockets that are connected to a port, and the ports at their own end."""
    peer = f":{port:04X}"
    for line in _SOCKETS.read_text().splitlines()[1:]:
        if peer in line:
            parts = line.split()
            if parts[_PEER].endswith(peer) and parts[_INODE] != _NO_INODE:
                port_there = int(parts[_LOCAL].rpartition(":")[2], 16)
                yield f"socket:[{parts[_INODE]}]", port_there


def _holders(starter: int, awaited: dict[str, int]) -> Iterator[tuple[str, int]]:
    for started in Path(f"/proc/{starter}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            for process in map(int, started.read_text().split()):
                with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                    for opened in Path(f"/proc/{process}/fd").iterdir():
                        with suppress(FileNotFoundError):
                            inode = str(opened.readlink())
                            if inode in awaited:
                                yield inode, process


if __name__ == "__main__":
    note(int(sys.argv[1]), Path(sys.argv[2]))
