"""`tidings database copy`: a whole installation from SQLite to PostgreSQL."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tidings.cli.command import load_settings
from tidings.cli.maintained import PostgresDatabase, SqliteFile, existing_file, our_words
from tidings.cli.output import CommandFailed, ExitCode, Screen, refuse

if TYPE_CHECKING:
    from tidings.settings import Settings
    from tidings.storage.copying import CheckedTable

To = Annotated[
    str,
    typer.Option(
        metavar="URL",
        help="The PostgreSQL database, empty or with a copy that was cut short: "
        "postgresql://user@host/database, with the password better in ~/.pgpass.",
    ),
]
_COLUMNS = {"table": "table", "rows": "rows", "checksum": "checksum"}
_CHECKSUM_SHOWN = 12


def copy_database(screen: Screen, to: str, database: str | None, data_dir: Path | None) -> None:
    """Copy the database of the settings, or go on with a copy."""
    from tidings.storage.copying import copy
    from tidings.system import SystemClock

    settings = load_settings(database_url=database, data_dir=data_dir)
    if settings.is_postgres:
        refuse("only SQLite databases are copied: name one by --database sqlite:///FILE")
    source, target = existing_file(settings), PostgresDatabase.at(to)
    with our_words(), source.alone(), screen.progress("Copying") as progress:
        tables = copy(
            source.path,
            target.url,
            key=_key(settings, source),
            now_ms=SystemClock().now_ms(),
            progress=progress.reached,
        )
    _show(screen, source, target, tables)
    others = [one for one in tables if not one.is_same]
    if others:
        raise CommandFailed(
            "the copy is not the same in "
            + ", ".join(f"{one.name} ({one.here.rows:,}, {one.there.rows:,})" for one in others)
            + "; no server starts on it: begin again with an empty database",
            ExitCode.BAD_RESULT,
        )
    screen.line(f"{target.name} holds all that {source.name} holds.")
    screen.line("Leave the old server stopped, or both would send.")
    if settings.encryption_key is None:
        screen.line(
            "Set TIDINGS_ENCRYPTION_KEY of every server on PostgreSQL to what is in "
            f"{settings.encryption_key_path}."
        )
    else:
        screen.line("Keep TIDINGS_ENCRYPTION_KEY as it is for every server on PostgreSQL.")


def _key(settings: "Settings", source: SqliteFile) -> bytes:
    """The encryption key of the source, as its server would find it."""
    from tidings.key_files import install_next_key, read_key

    if settings.encryption_key is not None:
        return settings.encryption_key_bytes
    file = settings.encryption_key_path
    install_next_key(file, source.key_fits)
    if not file.exists():
        raise CommandFailed(
            f"there is no key at {file}: set TIDINGS_ENCRYPTION_KEY", ExitCode.NOT_FOUND
        )
    return read_key(file)


def _show(
    screen: Screen, source: SqliteFile, target: PostgresDatabase, tables: "list[CheckedTable]"
) -> None:
    screen.value(
        {
            "database": source.name,
            "to": target.name,
            "isSame": all(one.is_same for one in tables),
            "tables": [
                {
                    "table": one.name,
                    "isSame": one.is_same,
                    "rows": one.here.rows,
                    "rowsCopied": one.there.rows,
                    "checksum": one.here.checksum,
                    "checksumCopied": one.there.checksum,
                }
                for one in tables
            ],
        }
    )
    screen.table(
        [
            {
                "table": one.name,
                "rows": f"{one.here.rows:,}",
                "checksum": one.here.checksum[:_CHECKSUM_SHOWN] if one.is_same else "differs",
            }
            for one in tables
        ],
        _COLUMNS,
    )
