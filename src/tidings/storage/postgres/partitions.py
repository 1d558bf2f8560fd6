"""The days of the log: partitions are made ahead of time, and dropped as a whole when they are old.

Publishing never waits for either. A partition is made as a table of its own and then attached. It
is detached concurrently, which takes two transactions with a wait for everybody who reads the table
between them: when that takes too long it is given up, and finished by a later call. Nothing here
locks the log against writing. There is no default partition, because with one nothing can be
detached concurrently.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import asyncpg
import msgspec

from tidings.core import limits
from tidings.core.identifier import lowest_id, lowest_seq
from tidings.ports.store import StoreUnavailable
from tidings.storage.postgres.connection import PostgresConnection

LOG: Final = ("event", "finished_delivery", "attempt")
DAY_MS: Final = 24 * 3_600_000
_CHANGED_MEANWHILE: Final = (
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.UndefinedTableError,
    asyncpg.WrongObjectTypeError,
)
"""What is said of a partition that somebody else is detaching, or has detached."""


class Partition(msgspec.Struct, frozen=True):
    """One day, counted from 1970 in UTC, of one table of the log."""

    table: str
    day: int

    @property
    def name(self) -> str:
        """The name of its own table."""
        date = datetime.fromtimestamp(self.day * DAY_MS / 1_000, tz=UTC)
        return f"{self.table}_{date:%Y%m%d}"

    @property
    def bounds(self) -> str:
        """The key of its first row and of the first one after it, as SQL has them."""
        first_ms = self.day * DAY_MS
        if self.table == "event":
            return f"FROM ({lowest_seq(first_ms)}) TO ({lowest_seq(first_ms + DAY_MS)})"
        first, end = lowest_id("dlv", first_ms), lowest_id("dlv", first_ms + DAY_MS)
        return f"FROM ('{first}') TO ('{end}')"


class Attachment(msgspec.Struct, frozen=True):
    """Whether a partition's table belongs to the log, or is on its way out of it."""

    is_attached: bool
    is_leaving: bool

    @property
    def is_whole(self) -> bool:
        """Whether rows can be stored in it."""
        return self.is_attached and not self.is_leaving


def make_partitions(db: PostgresConnection, *, since_ms: int, until_ms: int) -> list[str]:
    """Make what is missing for the days of this span; answers the names of what was made.

    Raises `StoreUnavailable` when that is not possible in several tries; what was made until then
    stays.
    """
    made = []
    for table in LOG:
        known = partitions(db, table)
        for day in range(since_ms // DAY_MS, until_ms // DAY_MS + 1):
            partition = Partition(table, day)
            attachment = known.get(partition)
            if attachment is not None and attachment.is_whole:
                continue
            if attachment is not None:
                _drop(db, partition)
            if _tried(_make, db, partition):
                made.append(partition.name)
    return made


def make_partitions_ahead(db: PostgresConnection, now_ms: int) -> list[str]:
    """Make what is missing from yesterday, for clocks that are late, to a week from now."""
    ahead_ms = limits.PARTITION_DAYS_AHEAD * DAY_MS
    return make_partitions(db, since_ms=now_ms - DAY_MS, until_ms=now_ms + ahead_ms)


def drop_partitions(db: PostgresConnection, *, before_ms: int) -> list[str]:
    """Drop the days that end before a moment, the oldest first; answers their names.

    Raises `StoreUnavailable` when one cannot be dropped in several tries, as while somebody reads
    it for long; what was dropped until then is gone, and a later call goes on.
    """
    old = [
        (not attachment.is_leaving, partition.day, LOG.index(table), partition)
        for table in LOG
        for partition, attachment in partitions(db, table).items()
        if (partition.day + 1) * DAY_MS <= before_ms
    ]
    dropped = []
    # Of one table only one can be on its way out, so what was begun is finished first.
    for *_, partition in sorted(old, key=lambda one: one[:3]):
        _drop(db, partition)
        dropped.append(partition.name)
    return dropped


def partitions(db: PostgresConnection, table: str) -> dict[Partition, Attachment]:
    """The days of a table of the log, those that were only detached so far included."""
    rows = db.execute(
        "SELECT right(c.relname, 8), i.inhrelid IS NOT NULL, coalesce(i.inhdetachpending, FALSE)"
        " FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
        " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"
        " AND c.relname ~ ? ORDER BY c.relname",
        (rf"^{table}_\d{{8}}$",),
    )
    return {Partition(table, _day(date)): Attachment(*states) for date, *states in rows}


def _day(date: str) -> int:
    moment = datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000) // DAY_MS


def _drop(db: PostgresConnection, partition: Partition) -> None:
    _tried(_detach, db, partition)
    _tried(_drop_table, db, partition)


def _tried(
    step: Callable[[PostgresConnection, Partition], bool],
    db: PostgresConnection,
    partition: Partition,
) -> bool:
    """Take a step in several tries; answers what it answers."""
    for _ in range(limits.PARTITION_TRIES - 1):
        try:
            return step(db, partition)
        except (StoreUnavailable, *_CHANGED_MEANWHILE):
            continue
    return step(db, partition)


def _make(db: PostgresConnection, partition: Partition) -> bool:
    """Make a partition; answers False when somebody else was quicker."""
    table, name = partition.table, partition.name
    with _lock_bounded(db):
        # It keeps others from attaching and detaching, and nobody from reading and writing.
        db.run_script(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")
        if partition in partitions(db, table):
            return False
        db.run_script(
            f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL);"
            f" ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES {partition.bounds}"
        )
    return True


def _detach(db: PostgresConnection, partition: Partition) -> bool:
    attachment = partitions(db, partition.table).get(partition)
    if attachment is None or not attachment.is_attached:
        return False
    how = "FINALIZE" if attachment.is_leaving else "CONCURRENTLY"
    # It stands in no transaction, where settings could bound its waits, so it is cancelled.
    db.run_script(
        f"ALTER TABLE {partition.table} DETACH PARTITION {partition.name} {how}",
        seconds=limits.PARTITION_DETACH_MS / 1_000,
    )
    return True


def _drop_table(db: PostgresConnection, partition: Partition) -> bool:
    with _lock_bounded(db):
        db.run_script(f"DROP TABLE IF EXISTS {partition.name}")
    return True


@contextmanager
def _lock_bounded(db: PostgresConnection) -> Iterator[None]:
    """A transaction that waits for locks but shortly."""
    db.begin(f"BEGIN; SET LOCAL lock_timeout = {limits.PARTITION_LOCK_MS}")
    try:
        yield
        db.commit()
    finally:
        db.rollback()
