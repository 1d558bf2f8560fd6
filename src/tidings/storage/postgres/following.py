"""Following what other processes do: new and changed rows of our shards, and the configuration."""

import asyncio
import logging
from collections.abc import Callable, Collection, Container
from typing import Final

import msgspec

from tidings.core.delivery import Delivery
from tidings.core.health import Health
from tidings.ports.cluster import Arrivals
from tidings.ports.store import Committed, StoreUnavailable
from tidings.storage.postgres.changes import OwnCommits, heard_since
from tidings.storage.sealing import Sealer
from tidings.storage.sql.access import Readers
from tidings.storage.sql.database import Database, fetch_all, fetch_one
from tidings.storage.sql.rows import DELIVERY_COLUMNS, HEALTH_COLUMNS, delivery_of, health_of

_LOG = logging.getLogger(__name__)
_LISTEN_SECONDS: Final = 0.25
_OF_DELIVERY: Final = ", ".join(f"d.{name.strip()}" for name in DELIVERY_COLUMNS.split(","))
_NEW_ROWS: Final = (
    f"SELECT {DELIVERY_COLUMNS} FROM delivery WHERE seq > ? AND seq <= ?"
    " AND shard = ANY(?) ORDER BY seq LIMIT ?"
)
# Everything of one moment, in one statement: the newest `seq`, whether others have changed rows,
# and the new ones, if there are any.
_NEWEST: Final = (
    "SELECT c.last_seq, EXISTS (SELECT 1 FROM row_change r WHERE r.seq > ?1 AND r.seq <= c.last_seq"
    f" AND r.shard = ANY(?2)), {_OF_DELIVERY}"
    " FROM configuration c LEFT JOIN delivery d"
    " ON d.seq > ?1 AND d.seq <= c.last_seq AND d.shard = ANY(?2)"
    " WHERE c.id = 1 ORDER BY d.seq LIMIT ?3"
)
_CHANGED_ROWS: Final = (
    f"SELECT {_OF_DELIVERY},"
    " c.row_seq, c.subscription_id, c.ordering_key"
    " FROM row_change c LEFT JOIN delivery d ON d.seq = c.row_seq"
    " WHERE c.seq > ? AND c.seq <= ? AND c.shard = ANY(?) ORDER BY c.seq"
)
_COLUMNS: Final = DELIVERY_COLUMNS.count(",") + 1


class Listening:
    """Hears what other processes have changed in the configuration, and tells it like a commit."""

    def __init__(self, readers: Readers, sealer: Sealer) -> None:
        self._readers = readers
        self._sealer = sealer
        self._version = -1
        self._last_seq = 0
        self.own = OwnCommits()
        self._running: asyncio.Task[None] | None = None

    async def start(self, tell: Callable[[Committed], None]) -> None:
        """Tell everything from here on. Raises `StoreUnavailable`."""
        self._tell = tell
        await self.hear()
        self._running = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """Hear no more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def hear(self) -> None:
        """Tell what has changed since the last time. Raises `StoreUnavailable`."""
        after = self._version
        version, last_seq, changes = await self._readers.run(
            lambda db: _heard(db, self._sealer, after, self.own.versions)
        )
        self._version = version
        self.own.versions.difference_update(range(after + 1, version + 1))
        is_newer = last_seq > max(self._last_seq, self.own.last_seq)
        self._last_seq = last_seq
        if after < 0:
            return
        if is_newer:
            changes = msgspec.structs.replace(changes, newest_event_seq=last_seq)
        if any(msgspec.structs.astuple(changes)):
            self._tell(changes)

    async def _listen(self) -> None:
        while True:
            await asyncio.sleep(_LISTEN_SECONDS)
            try:
                await self.hear()
            except StoreUnavailable as fault:
                _LOG.warning("the configuration cannot be followed at the moment: %s", fault)
            except Exception:  # noqa: BLE001 - whatever it was, the rest must be heard
                _LOG.exception("a change of the configuration could not be followed")


def _heard(
    db: Database, sealer: Sealer, after: int, own: Container[int]
) -> tuple[int, int, Committed]:
    version, last_seq = fetch_one(db, "SELECT version, last_seq FROM configuration WHERE id = 1")
    if after < 0 or version == after:
        return version, last_seq, Committed()
    return version, last_seq, heard_since(db, sealer, after, own)


def read_new_rows(
    db: Database, *, after_seq: int, shards: Collection[int], limit: int
) -> Arrivals | None:
    """The same as `read_arrivals`, by one statement; None where others have changed rows."""
    found = fetch_all(db, _NEWEST, (after_seq, list(shards), limit))
    through_seq, has_changes = found[0][:2]
    if has_changes:
        return None
    rows = [delivery_of(row[2:]) for row in found if row[2] is not None]
    if len(rows) >= limit:
        through_seq = rows[-1].seq
    return Arrivals(rows, [], [], max(through_seq, after_seq))


def read_arrivals(db: Database, *, after_seq: int, shards: Collection[int], limit: int) -> Arrivals:
    """The rows of some shards that came or were changed by others behind a place."""
    (through_seq,) = fetch_one(db, "SELECT last_seq FROM configuration WHERE id = 1")
    if through_seq <= after_seq:
        return Arrivals([], [], [], after_seq)
    wanted = list(shards)
    found = fetch_all(db, _NEW_ROWS, (after_seq, through_seq, wanted, limit))
    rows = [delivery_of(row) for row in found]
    if len(rows) >= limit:
        through_seq = rows[-1].seq
    changed: dict[int, Delivery] = {}
    ended: list[Delivery] = []
    for row in fetch_all(db, _CHANGED_ROWS, (after_seq, through_seq, wanted)):
        if row[0] is not None:
            changed[row[0]] = delivery_of(row[:_COLUMNS])
        else:
            row_seq, subscription_id, ordering_key = row[_COLUMNS:]
            ended.append(
                Delivery(
                    seq=row_seq,
                    delivery_id="",
                    tenant_id="",
                    subscription_id=subscription_id,
                    event_seq=0,
                    ordering_key=ordering_key,
                )
            )
    return Arrivals(rows, list(changed.values()), ended, through_seq)


def read_healths(db: Database, subscription_ids: Collection[str]) -> dict[str, Health]:
    """The stored health of those endpoints that have one."""
    rows = db.execute_many(
        f"SELECT subscription_id, {HEALTH_COLUMNS} FROM endpoint_health WHERE subscription_id IN (",
        [(one,) for one in subscription_ids],
        ")",
        types="t",
    )
    return {row[0]: health_of(row[1:]) for row in rows}
