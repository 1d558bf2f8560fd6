"""What an operator does to a database file: migrate it, check it, back it up."""

from collections.abc import Callable
from pathlib import Path

import apsw

from tidings.storage.sqlite.connection import ProcessLock, connect, our_words
from tidings.storage.sqlite.store import migrate_file

_PAGES_AT_ONCE = 256


def migrate(path: Path) -> list[str]:
    """Bring the tables up to date; answers the steps taken. Raises `DatabaseInUse`."""
    lock = ProcessLock(path)
    try:
        return migrate_file(path)
    finally:
        lock.release()


def check(path: Path) -> list[str]:
    """What is wrong with the database file; nothing when it is sound."""
    db = connect(path, reads_only=True)
    try:
        with our_words():
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check(100)")]
            orphans = db.execute(
                "SELECT count(*) FROM delivery d"
                " WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.seq = d.event_seq)"
            ).fetchone()
    finally:
        db.close()
    faults = [] if found == ["ok"] else found
    if orphans is not None and orphans[0]:
        faults.append(f"{orphans[0]} unfinished deliveries have lost their event")
    return faults


def backup(path: Path, to: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a database, also while it is in use; `progress` is told pages done and pages in all.

    Raises `FileExistsError` when there is a file at `to`.
    """
    if to.exists():
        raise FileExistsError(f"{to} exists already")
    source = connect(path)
    with our_words():
        target = apsw.Connection(str(to))
        with target.backup("main", source, "main") as copying:
            while not copying.done:
                copying.step(_PAGES_AT_ONCE)
                progress(copying.page_count - copying.remaining, copying.page_count)
        target.close()
    source.close()
