"""`tidings database`: what an operator does to the database itself."""

from pathlib import Path
from typing import Annotated

import typer

from tidings.cli.command import command, group, load_settings
from tidings.cli.copying import To, copy_database
from tidings.cli.maintained import database_of, maintained, our_words
from tidings.cli.output import CommandFailed, ExitCode, Screen

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


@command(app, "migrate")
def migrate(screen: Screen, *, database: _Database = None, data_dir: _DataDir = None) -> None:
    """Bring the tables up to date. The server does this too, when it starts."""
    one = database_of(database, data_dir)
    with our_words():
        steps = one.migrate()
    for step in steps:
        screen.line(f"Taken: {step}")
    screen.line(f"{one.name} is up to date.")
    screen.value({"database": one.name, "steps": steps})


@command(app, "check")
def check(screen: Screen, *, database: _Database = None, data_dir: _DataDir = None) -> None:
    """Look for damage. It may run beside the server."""
    one = database_of(database, data_dir)
    with our_words():
        faults = one.check()
    screen.value({"database": one.name, "faults": faults})
    for fault in faults:
        screen.line(fault)
    if faults:
        raise CommandFailed(
            f"{one.name} has faults; if that is damage, restore a backup", ExitCode.BAD_RESULT
        )
    screen.line(f"{one.name} is sound.")


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
    one = database_of(database, data_dir)
    with our_words(), screen.progress("Backing up") as progress:
        one.backup(to, progress.reached)
    screen.line(f"{one.name} is backed up to {to}.")
    screen.value({"database": one.name, "backup": str(to)})


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

    settings = load_settings(database_url=database, data_dir=data_dir)
    one = maintained(settings)
    with our_words(), one.alone(), screen.progress("Sealing anew") as progress:
        change = KeyChange.of(one, settings, new_key_file)
        done = change.carry_out(progress.reached)
    screen.value({"database": one.name, "sealed": done.sealed, "unopened": done.unopened})
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
    one = database_of(database, data_dir)
    with our_words():
        records = one.audit(tenant_id=tenant, limit=limit)
    screen.value({"items": records})
    screen.table(records, _AUDIT_COLUMNS)


@command(app, "keys")
def keys(screen: Screen, *, database: _Database = None, data_dir: _DataDir = None) -> None:
    """Show when each API key was last used, to a minute. It may run beside the server."""
    one = database_of(database, data_dir)
    with our_words():
        found = one.keys()
    screen.value({"items": found})
    screen.table(found, _KEY_COLUMNS)


@command(app, "copy")
def copy(screen: Screen, to: To, *, database: _Database = None, data_dir: _DataDir = None) -> None:
    """Copy everything from SQLite to PostgreSQL, while the server is stopped, and check it.

    Cut short, it goes on when it is called again.
    """
    copy_database(screen, to, database, data_dir)
