"""`tidings database`: what an operator does to the database file itself."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tidings.cli.command import command, group, load_settings
from tidings.cli.output import CommandFailed, ExitCode, Screen
from tidings.cli.unbuilt import refuse_unbuilt

app = group("Migrate, check, look into and back up the database.")

_DataDir = Annotated[Path | None, typer.Option(help="The data directory; else TIDINGS_DATA_DIR.")]
_Database = Annotated[
    str | None, typer.Option(metavar="URL", help="The database; else TIDINGS_DATABASE_URL.")
]
_AUDIT_COLUMNS = {
    "at": "at",
    "by": "byKeyId",
    "action": "action",
    "tenant": "tenantId",
    "object": "objectId",
    "before": "before",
    "after": "after",
}
_KEY_COLUMNS = {
    "key": "keyId",
    "name": "name",
    "tenant": "tenantId",
    "expires at": "expiresAt",
    "last used at": "lastUsedAt",
}
_SHOWN_MAX = 5
_PRIVATE = 0o077
"""The umask under which nobody else may read what is made."""


@command(app, "migrate")
def migrate(screen: Screen, *, database: _Database = None, data_dir: _DataDir = None) -> None:
    """Bring the tables up to date. The server does this too, when it starts."""
    from tidings.storage.sqlite import maintenance

    path = _existing(database, data_dir)
    with _our_words():
        steps = maintenance.migrate(path)
    for step in steps:
        screen.line(f"Taken: {step}")
    screen.line(f"{path} is up to date.")
    screen.value({"database": str(path), "steps": steps})


@command(app, "check")
def check(screen: Screen, *, database: _Database = None, data_dir: _DataDir = None) -> None:
    """Look for damage. It may run beside the server."""
    from tidings.storage.sqlite import maintenance

    path = _existing(database, data_dir)
    with _our_words():
        faults = maintenance.check(path)
    screen.value({"database": str(path), "faults": faults})
    for fault in faults:
        screen.line(fault)
    if faults:
        raise CommandFailed(f"{path} has faults; restore a backup", ExitCode.BAD_RESULT)
    screen.line(f"{path} is sound.")


@command(app, "backup")
def backup(
    screen: Screen,
    to: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write, which must not exist yet.")
    ],
    *,
    database: _Database = None,
    data_dir: _DataDir = None,
) -> None:
    """Copy the database, also while the server runs. Keep a copy of encryption.key elsewhere."""
    from tidings.storage.sqlite import maintenance

    path = _existing(database, data_dir)
    os.umask(_PRIVATE)
    with _our_words(), screen.progress("Backing up") as progress:
        maintenance.backup(path, to, progress.reached)
    screen.line(f"{path} is backed up to {to}.")
    screen.value({"database": str(path), "backup": str(to)})


@command(app, "reencrypt")
def reencrypt(
    screen: Screen,
    *,
    new_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file with the new key in base64; else TIDINGS_NEW_ENCRYPTION_KEY, else one "
            "is made.",
        ),
    ] = None,
    database: _Database = None,
    data_dir: _DataDir = None,
) -> None:
    """Seal all secrets under a new encryption key, while the server is stopped."""
    from tidings.cli.key_change import KeyChange
    from tidings.storage.sqlite.maintenance import alone_with

    path = _existing(database, data_dir)
    settings = load_settings(database_url=database, data_dir=data_dir)
    os.umask(_PRIVATE)
    with _our_words(), alone_with(path), screen.progress("Sealing anew") as progress:
        change = KeyChange.of(settings, new_key_file)
        done = change.carry_out(progress.reached)
    screen.value({"database": str(path), "sealed": done.sealed, "unopened": done.unopened})
    screen.line(f"{done.sealed:,} values are sealed under the new key.")
    if change.file is None:
        screen.line("Set TIDINGS_ENCRYPTION_KEY to the new key before the server starts.")
    else:
        screen.line(f"The new key stands in {change.file}; the old one is kept beside it.")
    screen.line("Backups made before need the old key.")
    if done.unopened:
        raise CommandFailed(
            f"{len(done.unopened)} values could not be opened and stay as they are: "
            + ", ".join(done.unopened[:_SHOWN_MAX]),
            ExitCode.BAD_RESULT,
        )


@command(app, "audit")
def audit(
    screen: Screen,
    *,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    database: _Database = None,
    data_dir: _DataDir = None,
) -> None:
    """Show who changed what, newest first. It may run beside the server."""
    from tidings.storage.sqlite import maintenance

    path = _existing(database, data_dir)
    with _our_words():
        records = maintenance.audit(path, tenant_id=tenant, limit=limit)
    screen.value({"items": records})
    screen.table(records, _AUDIT_COLUMNS)


@command(app, "keys")
def keys(screen: Screen, *, database: _Database = None, data_dir: _DataDir = None) -> None:
    """Show when each API key was last used, to a minute. It may run beside the server."""
    from tidings.storage.sqlite import maintenance

    path = _existing(database, data_dir)
    with _our_words():
        found = maintenance.keys(path)
    screen.value({"items": found})
    screen.table(found, _KEY_COLUMNS)


@command(app, "copy")
def copy() -> None:
    """Copy everything to another kind of database. Not available in this version."""
    refuse_unbuilt("copying to another kind of database")


def _existing(database: str | None, data_dir: Path | None) -> Path:
    path = load_settings(database_url=database, data_dir=data_dir).database_path
    if not path.is_file():
        raise CommandFailed(f"there is no database at {path}", ExitCode.NOT_FOUND)
    return path


@contextmanager
def _our_words() -> Iterator[None]:
    """Turn what the store says about the world into a line and an exit code."""
    from tidings.ports.store import StoreUnavailable
    from tidings.storage.sql.store import WrongKey
    from tidings.storage.sqlite import DatabaseInUse, DatabaseTooNew

    try:
        yield
    except (DatabaseInUse, DatabaseTooNew, FileExistsError, WrongKey) as fault:
        raise CommandFailed(str(fault), ExitCode.CONFLICT) from fault
    except (StoreUnavailable, OSError) as fault:
        raise CommandFailed(str(fault), ExitCode.UNAVAILABLE) from fault
