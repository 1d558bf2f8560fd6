"""Opening the database file: settings, migrations, and the lock against a second process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final

import apsw

from tidings.core import limits
from tidings.core.pattern import matches
from tidings.ports.store import StoreUnavailable
from tidings.storage.faults import DatabaseTooNew
from tidings.storage.sqlite.statements import SqliteConnection

STATEMENTS_CACHED: Final = 300
UNAVAILABLE: Final = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
)


class DatabaseInUse(Exception):
    """Another process works with this database."""


@contextmanager
def our_words() -> Iterator[None]:
    """Turn the database's own errors about the world into `StoreUnavailable`."""
    try:
        yield
    except UNAVAILABLE as fault:
        raise StoreUnavailable(str(fault)) from fault


def connect(path: Path | str, *, reads_only: bool = False) -> SqliteConnection:
    """A connection with our settings. Raises `StoreUnavailable`."""
    with our_words():
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        db = SqliteConnection(str(path), flags=flags, statementcachesize=STATEMENTS_CACHED)
        prepare(db)
        if reads_only:
            db.execute("PRAGMA query_only = ON")
        return db


def prepare(db: apsw.Connection) -> None:
    """Give a new connection our settings."""
    db.set_busy_timeout(limits.BUSY_TIMEOUT_MS)
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("PRAGMA cache_size = -16384")
    # The writer never checkpoints: a connection of its own does, beside the commits.
    db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    db.create_scalar_function("matches", _sql_matches, 2, deterministic=True)


def free_bytes(path: Path) -> int:
    """How much room the disk of a database has for us."""
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize


def _sql_matches(*arguments: Any) -> int:
    """The SQL function ``matches(patterns, event_type)``; no patterns match everything."""
    patterns, event_type = arguments
    return int(patterns is None or matches(patterns, event_type))


class ProcessLock:
    """A lock on a file beside the database, so that one process works with it at a time.

    It is a separate file because closing any descriptor of the database file itself would drop
    the locks that SQLite holds on it.
    """

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise StoreUnavailable(f"{self._path} cannot be opened: {fault.strerror}") from fault
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise DatabaseInUse(f"another process uses the database {database}") from None

    def release(self) -> None:
        """Let the next process have the database."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def migrate(db: apsw.Connection) -> list[str]:
    """Bring the tables up to date; answers the names of the steps that were taken.

    Raises `DatabaseTooNew` when the database knows steps that this program does not.
    """
    steps = sorted(
        (entry for entry in resources.files(__package__).joinpath("migrations").iterdir()),
        key=lambda entry: entry.name,
    )
    steps = [step for step in steps if step.name.endswith(".sql")]
    with our_words():
        taken = int(db.pragma("user_version"))
        if taken > len(steps):
            raise DatabaseTooNew(
                f"the database is of version {taken}, this program knows {len(steps)}; "
                "install a newer version"
            )
        for number, step in enumerate(steps[taken:], start=taken + 1):
            with db:
                db.execute(step.read_text("utf-8"))
                db.execute(f"PRAGMA user_version = {number}")
    return [step.name for step in steps[taken:]]
