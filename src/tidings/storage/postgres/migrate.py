"""Bringing the tables of a PostgreSQL database up to date, from any number of nodes at once.

The steps are numbered files. Those that were taken stand in the table `migration`, which is locked
while others are taken: a lock that ends with its transaction, so that poolers allow it.
"""

from hashlib import sha256
from importlib import resources
from typing import Final

import asyncpg
import msgspec

from tidings.storage.faults import DatabaseTooNew, DatabaseUnfit
from tidings.storage.postgres.connection import PostgresConnection

STEP_SECONDS_MAX: Final = 3_600.0
LOCK_SECONDS_MAX: Final = 60
OLDEST_SERVER: Final = 15
_CREATED_BY_ANOTHER: Final = (
    asyncpg.DuplicateObjectError,
    asyncpg.DuplicateTableError,
    asyncpg.UniqueViolationError,
)


class Step(msgspec.Struct, frozen=True):
    """One numbered file of statements."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells whether a step that was taken is still the same."""
        return sha256(self.sql.encode()).hexdigest()


def known_steps() -> list[Step]:
    """The steps that this program knows, in their order."""
    folder = resources.files(__package__).joinpath("migrations")
    entries = sorted((entry for entry in folder.iterdir()), key=lambda entry: entry.name)
    steps = [
        Step(int(entry.name.partition("_")[0]), entry.name, entry.read_text("utf-8"))
        for entry in entries
        if entry.name.endswith(".sql")
    ]
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    return steps


def migrate(db: PostgresConnection) -> list[str]:
    """Bring the tables up to date; answers the names of the steps that were taken.

    Raises `DatabaseTooNew` when the database knows steps that this program does not,
    `DatabaseUnfit` when the server is too old or the steps taken were others, and
    `StoreUnavailable`.
    """
    check_server(db)
    _make_table_of_steps(db)
    db.begin(
        f"BEGIN; SET LOCAL lock_timeout = '{LOCK_SECONDS_MAX}s'; SET LOCAL statement_timeout = 0"
    )
    try:
        db.run_script("LOCK TABLE migration IN EXCLUSIVE MODE", seconds=LOCK_SECONDS_MAX)
        steps = _steps_to_take(db)
        for step in steps:
            db.run_script(step.sql, seconds=STEP_SECONDS_MAX)
            db.execute(
                "INSERT INTO migration (number, name, checksum) VALUES (?,?,?)",
                (step.number, step.name, step.checksum),
            )
        db.commit()
    finally:
        db.rollback()
    return [step.name for step in steps]


def check_server(db: PostgresConnection) -> None:
    """See that Tidings can work on this server. Raises `DatabaseUnfit`."""
    sql = "SELECT current_setting('server_version_num')::bigint, current_setting('server_encoding')"
    version, encoding = db.execute(sql).fetchone()
    if version // 10_000 < OLDEST_SERVER:
        raise DatabaseUnfit(
            f"PostgreSQL {OLDEST_SERVER} or newer is needed, and this is {version // 10_000}"
        )
    if encoding != "UTF8":
        raise DatabaseUnfit(f"the database must be of encoding UTF8, and this is of {encoding}")


def _make_table_of_steps(db: PostgresConnection) -> None:
    sql = (
        "CREATE TABLE IF NOT EXISTS migration ("
        ' number bigint PRIMARY KEY, name text COLLATE "C" NOT NULL,'
        ' checksum text COLLATE "C" NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())'
    )
    if db.execute("SELECT to_regclass('migration') IS NOT NULL").fetchone()[0]:
        return
    try:
        db.execute(sql)
    except _CREATED_BY_ANOTHER:
        # Whoever was a moment quicker has committed it.
        return


def _steps_to_take(db: PostgresConnection) -> list[Step]:
    steps = known_steps()
    taken = db.execute("SELECT number, name, checksum FROM migration ORDER BY number").fetchall()
    if len(taken) > len(steps):
        raise DatabaseTooNew(
            f"the database is of version {len(taken)}, this program knows {len(steps)}; "
            "install a newer version"
        )
    for step, (number, name, checksum) in zip(steps, taken, strict=False):
        if (number, name, checksum) != (step.number, step.name, step.checksum):
            raise DatabaseUnfit(
                f"the database was made by another program: its step {number} was {name}"
                f" ({checksum[:12]}), not {step.name} ({step.checksum[:12]})"
            )
    return steps[len(taken) :]
