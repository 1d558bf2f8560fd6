"""The thread that moves SQLite's write-ahead log into the database file, beside the commits."""

import threading
from pathlib import Path
from typing import Final

import apsw

from tidings.storage.sqlite.connection import connect

_CHECKPOINT_PAGES: Final = 1_000
_TRUNCATE_PAGES: Final = 16_384


class Checkpointer:
    """Moves the write-ahead log into the database file, beside the commits.

    A passive checkpoint disturbs nobody. When readers have kept the log from shrinking and it has
    grown past 64 MB, a truncating one is tried.
    """

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._pages = 0
        self._awake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="store-checkpoint", daemon=True)
        self._thread.start()

    def wal_grew(self, pages: int) -> None:
        """Note the length of the log after a commit."""
        self._pages = pages
        if pages >= _CHECKPOINT_PAGES:
            self._awake.set()

    def close(self) -> None:
        """End the thread after a checkpoint that is under way."""
        self._is_closing = True
        self._awake.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            self._awake.wait()
            self._awake.clear()
            if self._is_closing:
                self._db.close()
                return
            mode = apsw.SQLITE_CHECKPOINT_PASSIVE
            if self._pages >= _TRUNCATE_PAGES:
                mode = apsw.SQLITE_CHECKPOINT_TRUNCATE
            try:
                self._db.wal_checkpoint(mode=mode)
            except apsw.Error:
                # Busy, or the disk is full: the commits go on, and the next one asks again.
                continue
