"""Tidings in a process that is killed in the middle of one of its writes to the disk.

Run it: ``python -m tests.crashes.torn_writes N SHARE ARGUMENTS...``. Of the Nth write to a file of
the database only a share of the bytes reaches the file, and then the process is gone. `ARGUMENTS`
are those of the command line.
"""

import os
import signal
import sys
from typing import Any

import apsw

from tidings.cli.main import main

_SYSTEM = "unix"


class Disk(apsw.VFS):
    """SQLite's own way to the disk, with an end."""

    def __init__(self, writes: int, share: float) -> None:
        self.writes_left = writes
        self.share = share
        super().__init__("torn", _SYSTEM, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        return File(self, name, flags)


class File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(_SYSTEM, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        disk = self._disk
        disk.writes_left -= 1
        if disk.writes_left < 0:
            super().xWrite(data[: int(len(data) * disk.share)], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        super().xWrite(data, offset)


if __name__ == "__main__":
    disk = Disk(int(sys.argv[1]), float(sys.argv[2]))
    main(sys.argv[3:])
