"""A database as its operator works on it, whichever it is."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tidings.cli.command import load_settings
from tidings.cli.output import CommandFailed, ExitCode, refuse

if TYPE_CHECKING:
    from tidings.settings import Settings
    from tidings.storage.sql.reencryption import Reencrypted

_PRIVATE = 0o077
"""The umask under which nobody else may read what is made."""

Told = Callable[[int, int], None]
"""Is told how much of the work is done, and how much there is in all."""


class Maintained(Protocol):
    """A database. Its methods raise what `our_words` knows."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Keep every other process from working with it, where that is not done otherwise."""
        ...

    def migrate(self) -> list[str]:
        """Bring the tables up to date; answers the steps taken."""
        ...

    def check(self) -> list[str]:
        """What is wrong with it."""
        ...

    def audit(self, *, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest audit records, newest first."""
        ...

    def keys(self) -> list[dict[str, Any]]:
        """All API keys, newest first."""
        ...

    def backup(self, to: Path, progress: Told) -> None:
        """Copy it into a file."""
        ...

    def key_fits(self, key: bytes) -> bool:
        """Whether it was sealed with this key."""
        ...

    def reencrypt(self, old_key: bytes, new_key: bytes, progress: Told) -> "Reencrypted":
        """Seal everything in it anew."""
        ...


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A database in a file."""

    path: Path

    @property
    def name(self) -> str:
        """See `Maintained`."""
        return str(self.path)

    def alone(self) -> AbstractContextManager[None]:
        """See `Maintained`."""
        from tidings.storage.sqlite import maintenance

        return maintenance.alone_with(self.path)

    def migrate(self) -> list[str]:
        """See `Maintained`."""
        from tidings.storage.sqlite import maintenance

        return maintenance.migrate(self.path)

    def check(self) -> list[str]:
        """See `Maintained`."""
        from tidings.storage.sqlite import maintenance

        return maintenance.check(self.path)

    def audit(self, *, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
        """See `Maintained`."""
        from tidings.storage.sqlite import maintenance

        return maintenance.audit(self.path, tenant_id=tenant_id, limit=limit)

    def keys(self) -> list[dict[str, Any]]:
        """See `Maintained`."""
        from tidings.storage.sqlite import maintenance

        return maintenance.keys(self.path)

    def backup(self, to: Path, progress: Told) -> None:
        """See `Maintained`."""
        from tidings.storage.sqlite import maintenance

        os.umask(_PRIVATE)
        maintenance.backup(self.path, to, progress)

    def key_fits(self, key: bytes) -> bool:
        """See `Maintained`."""
        from tidings.storage.sqlite.reencryption import key_fits

        return key_fits(self.path, key)

    def reencrypt(self, old_key: bytes, new_key: bytes, progress: Told) -> "Reencrypted":
        """See `Maintained`."""
        from tidings.storage.sqlite.reencryption import reencrypt

        os.umask(_PRIVATE)
        return reencrypt(self.path, old_key, new_key, progress)


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """A database on a PostgreSQL server."""

    url: str

    @classmethod
    def at(cls, url: str) -> "PostgresDatabase":
        """The database at a URL. Raises `CommandFailed` for one that cannot be used."""
        from tidings.storage.postgres.address import postgres_address

        try:
            postgres_address(url)
        except ValueError as fault:
            refuse(str(fault))
        return cls(url)

    @property
    def name(self) -> str:
        """See `Maintained`. The password is no part of it."""
        from tidings.storage.postgres.address import shown_url

        return shown_url(self.url)

    def alone(self) -> AbstractContextManager[None]:
        """See `Maintained`. What must be alone looks for workers in its own transaction."""
        return nullcontext()

    def migrate(self) -> list[str]:
        """See `Maintained`."""
        from tidings.storage.postgres import maintenance

        return maintenance.migrate(self.url, now_ms=_now_ms())

    def check(self) -> list[str]:
        """See `Maintained`."""
        from tidings.storage.postgres import maintenance

        return maintenance.check(self.url, now_ms=_now_ms())

    def audit(self, *, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
        """See `Maintained`."""
        from tidings.storage.postgres import maintenance

        return maintenance.audit(self.url, tenant_id=tenant_id, limit=limit)

    def keys(self) -> list[dict[str, Any]]:
        """See `Maintained`."""
        from tidings.storage.postgres import maintenance

        return maintenance.keys(self.url)

    def backup(self, to: Path, progress: Told) -> None:
        """Refuse: PostgreSQL's own programs do it better, and there are many ways to want it."""
        del to, progress
        refuse(
            f"{self.name} is on PostgreSQL: back it up with its own programs, pg_dump or "
            "pgBackRest, and encryption key apart"
        )

    def key_fits(self, key: bytes) -> bool:
        """See `Maintained`."""
        from tidings.storage.postgres import maintenance
        from tidings.storage.sql.reencryption import is_sealed_with

        with maintenance.connected(self.url) as db:
            return is_sealed_with(db, key)

    def reencrypt(self, old_key: bytes, new_key: bytes, progress: Told) -> "Reencrypted":
        """See `Maintained`."""
        from tidings.storage.postgres import maintenance

        return maintenance.reencrypt(self.url, old_key, new_key, progress)


def maintained(settings: "Settings") -> Maintained:
    """The database of the settings. Raises `CommandFailed` when there is no such file."""
    if settings.is_postgres:
        assert settings.database_url is not None
        return PostgresDatabase.at(settings.database_url)
    return existing_file(settings)


def existing_file(settings: "Settings") -> SqliteFile:
    """The database file of the settings. Raises `CommandFailed` when there is none."""
    path = settings.database_path
    if not path.is_file():
        raise CommandFailed(f"there is no database at {path}", ExitCode.NOT_FOUND)
    return SqliteFile(path)


def database_of(database: str | None, data_dir: Path | None) -> Maintained:
    """The database that the options name, else the settings."""
    return maintained(load_settings(database_url=database, data_dir=data_dir))


@contextmanager
def our_words() -> Iterator[None]:
    """Turn what the store says about the world into a line and an exit code."""
    from tidings.ports.store import StoreUnavailable
    from tidings.storage.faults import DatabaseInUse, DatabaseTooNew, DatabaseUnfit
    from tidings.storage.sql.store import WrongKey

    try:
        yield
    except (DatabaseInUse, DatabaseTooNew, DatabaseUnfit, FileExistsError, WrongKey) as fault:
        raise CommandFailed(str(fault), ExitCode.CONFLICT) from fault
    except (StoreUnavailable, OSError) as fault:
        raise CommandFailed(str(fault), ExitCode.UNAVAILABLE) from fault


def _now_ms() -> int:
    from tidings.system import SystemClock

    return SystemClock().now_ms()
