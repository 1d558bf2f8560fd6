"""Replays in SQLite: of one event, and in bulk by a cursor that survives crashes."""

from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from tidings.core.audit import NOBODY, AuditRecord
from tidings.core.content_filter import EventData
from tidings.core.delivery import DeliveryStatus
from tidings.core.event import Event, data_of
from tidings.core.identifier import lowest_id, lowest_seq
from tidings.core.refusals import InvalidState, NotFound
from tidings.core.subscription import Status, Subscription, takes_no_events
from tidings.ports.records import Replay, ReplayScope
from tidings.storage.sqlite.audit import write_audit
from tidings.storage.sqlite.base import SqliteBase
from tidings.storage.sqlite.events import find_event, insert_deliveries, new_delivery
from tidings.storage.sqlite.rounds import (
    FINISHED_SELECT,
    TAKES_EVENTS,
    begin_rounds,
    finished_of,
)
from tidings.storage.sqlite.rows import Row
from tidings.storage.sqlite.statements import fetch_all, fetch_one
from tidings.storage.sqlite.transaction import Transaction

_REPLAY_COLUMNS = (
    "replay_id, tenant_id, only, subscription_id, patterns, since_ms, until_ms, total,"
    " created_at_ms, done, cursor, finished_at_ms"
)
_MISSED = (
    " FROM event e CROSS JOIN subscription s ON s.subscription_id = ?1"
    " WHERE e.tenant_id = ?2 AND s.tenant_id = ?2 AND e.seq >= ?3 AND e.seq < ?4"
    " AND matches(?5, e.event_type) AND matches(s.event_type, e.event_type)"
    f" AND length(e.body) > 0 AND {TAKES_EVENTS} AND passes(s.content_filter, e.body)"
    " AND NOT EXISTS (SELECT 1 FROM delivery d"
    "  WHERE d.event_seq = e.seq AND d.subscription_id = s.subscription_id)"
    " AND NOT EXISTS (SELECT 1 FROM finished_delivery d"
    "  WHERE d.event_seq = e.seq AND d.subscription_id = s.subscription_id)"
)
_TIME_MAX_MS = 1 << 42


class SqliteReplays(SqliteBase):
    """The replay part of the store port."""

    async def replay_event(
        self,
        tenant_id: str,
        event_id: str,
        *,
        subscription_id: str | None,
        now_ms: int,
        by: str = NOBODY,
    ) -> int:
        """See `DeliveryStore`."""
        self.keep_reserve()

        def write(tx: Transaction) -> int:
            event = find_event(tx.db, tenant_id, event_id)
            if not event.body:
                raise InvalidState("the event's data was erased")
            (about,) = fetch_one(tx.db, "SELECT about FROM event WHERE seq = ?", (event.seq,))
            if subscription_id is not None:
                if subscription_id == about:
                    raise InvalidState("a subscription gets no events about itself")
                wanting = [_find_receiving(tx, tenant_id, subscription_id)]
            else:
                data = EventData(data_of(event.body))
                wanting = [
                    one
                    for one in tx.routing.wanting(tenant_id, event.event_type, data)
                    # A tenant moves nothing that is the operator's.
                    if one.subscription_id != about and one.tenant_id == tenant_id
                ]
            begun = self._begin(tx, wanting, event, now_ms)
            told = {"subscription_id": subscription_id, "deliveries": begun}
            record = AuditRecord("event.replayed", by, tenant_id, event_id, None, told)
            write_audit(tx, record, now_ms)
            return begun

        return await self.write(write)

    def _begin(
        self, tx: Transaction, wanting: Sequence[Subscription], event: Event, now_ms: int
    ) -> int:
        """Begin rounds and first deliveries where none is unfinished or was cancelled."""
        unfinished = {
            row[0]
            for row in fetch_all(
                tx.db, "SELECT subscription_id FROM delivery WHERE event_seq = ?", (event.seq,)
            )
        }
        finished = {
            one.subscription_id: one
            for one in map(
                finished_of,
                fetch_all(
                    tx.db,
                    f"{FINISHED_SELECT} WHERE d.event_seq = ? ORDER BY d.delivery_id",
                    (event.seq,),
                ),
            )
        }
        again = [
            earlier
            for one in wanting
            if (earlier := finished.get(one.subscription_id)) is not None
            and one.subscription_id not in unfinished
            and earlier.status is not DeliveryStatus.CANCELLED
        ]
        first = [
            new_delivery(
                tx,
                self.chance,
                one,
                event_seq=event.seq,
                ordering_key=event.ordering_key,
                body_bytes=len(event.body),
                now_ms=now_ms,
            )
            for one in wanting
            if one.subscription_id not in unfinished and one.subscription_id not in finished
        ]
        begin_rounds(tx, again, now_ms=now_ms)
        insert_deliveries(tx, first)
        return len(again) + len(first)

    async def count_replay(self, scope: ReplayScope) -> int:
        """See `DeliveryStore`."""

        def read(db: apsw.Connection) -> int:
            if scope.only == "missed":
                row = fetch_one(db, f"SELECT count(*) {_MISSED}", _missed_bindings(scope))
            else:
                where, bindings = _finished_conditions(scope)
                sql = f"SELECT count(*) FROM ({FINISHED_SELECT} WHERE {where})"
                row = fetch_one(db, sql, bindings)
            assert row is not None
            return int(row[0])

        return await self.read(read)

    async def start_replay(self, replay: Replay, *, by: str = NOBODY) -> None:
        """See `DeliveryStore`."""
        self.keep_reserve()

        def write(tx: Transaction) -> None:
            scope = replay.scope
            tx.db.execute(
                f"INSERT INTO replay ({_REPLAY_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    replay.replay_id,
                    scope.tenant_id,
                    scope.only,
                    scope.subscription_id,
                    scope.patterns,
                    scope.since_ms,
                    scope.until_ms,
                    replay.total,
                    replay.created_at_ms,
                    replay.done,
                    replay.cursor,
                    replay.finished_at_ms,
                ),
            )
            tx.replays.append(replay)
            told = msgspec.structs.asdict(scope) | {"deliveries": replay.total}
            record = AuditRecord(
                "replay.started", by, scope.tenant_id, replay.replay_id, None, told
            )
            write_audit(tx, record, replay.created_at_ms)

        await self.write(write)

    async def advance_replay(self, replay_id: str, *, now_ms: int, limit: int) -> Replay:
        """See `DeliveryStore`."""
        self.keep_reserve()

        def write(tx: Transaction) -> Replay:
            row = fetch_one(
                tx.db, f"SELECT {_REPLAY_COLUMNS} FROM replay WHERE replay_id = ?", (replay_id,)
            )
            if row is None:
                raise NotFound("there is no such replay")
            replay = _replay_of(row)
            if replay.finished_at_ms is not None:
                return replay
            step = self._missed_step if replay.scope.only == "missed" else _finished_step
            begun, cursor = step(tx, replay, now_ms, limit)
            replay = msgspec.structs.replace(
                replay,
                done=replay.done + begun,
                cursor=cursor,
                finished_at_ms=now_ms if begun < limit else None,
            )
            tx.db.execute(
                "UPDATE replay SET done = ?, cursor = ?, finished_at_ms = ? WHERE replay_id = ?",
                (replay.done, replay.cursor, replay.finished_at_ms, replay_id),
            )
            tx.replays.append(replay)
            return replay

        return await self.write(write)

    async def get_replay(self, tenant_id: str, replay_id: str) -> Replay:
        """See `DeliveryStore`."""
        sql = f"SELECT {_REPLAY_COLUMNS} FROM replay WHERE replay_id = ? AND tenant_id = ?"
        row = await self.read(lambda db: fetch_one(db, sql, (replay_id, tenant_id)))
        if row is None:
            raise NotFound("there is no such replay")
        return _replay_of(row)

    async def load_replays(self) -> list[Replay]:
        """See `DeliveryStore`."""
        sql = f"SELECT {_REPLAY_COLUMNS} FROM replay WHERE finished_at_ms IS NULL"
        rows = await self.read(lambda db: fetch_all(db, sql))
        return [_replay_of(row) for row in rows]

    def _missed_step(
        self, tx: Transaction, replay: Replay, now_ms: int, limit: int
    ) -> tuple[int, str]:
        """Begin deliveries for events that have none; answers how many, and the new cursor."""
        scope = replay.scope
        assert scope.subscription_id is not None
        found = fetch_all(
            tx.db,
            f"SELECT e.seq, e.ordering_key, length(e.body) {_MISSED} ORDER BY e.seq LIMIT ?6",
            (*_missed_bindings(scope, replay), limit),
        )
        if not found:
            return 0, replay.cursor
        subscription = tx.routing.get(scope.subscription_id)
        if subscription is None:
            # Disabled or deleted meanwhile: there is nobody left to deliver to.
            return 0, replay.cursor
        rows = [
            new_delivery(
                tx,
                self.chance,
                subscription,
                event_seq=seq,
                ordering_key=ordering_key,
                body_bytes=body_bytes,
                now_ms=now_ms,
            )
            for seq, ordering_key, body_bytes in found
        ]
        # They are repeats to the scheduler: fresh events must not wait behind a replay.
        rows = [msgspec.structs.replace(row, round=1) for row in rows]
        insert_deliveries(tx, rows)
        return len(rows), str(found[-1][0])


def _finished_step(tx: Transaction, replay: Replay, now_ms: int, limit: int) -> tuple[int, str]:
    """Begin new rounds of finished deliveries; answers how many, and the new cursor."""
    where, bindings = _finished_conditions(replay.scope, replay)
    rows = fetch_all(
        tx.db, f"{FINISHED_SELECT} WHERE {where} ORDER BY d.delivery_id LIMIT ?", (*bindings, limit)
    )
    if not rows:
        return 0, replay.cursor
    begin_rounds(tx, [finished_of(row) for row in rows], now_ms=now_ms)
    return len(rows), str(rows[-1][1])


def _finished_conditions(scope: ReplayScope, replay: Replay | None = None) -> tuple[str, list[Any]]:
    statuses = "('dead_lettered')" if scope.only == "dead" else "('dead_lettered', 'delivered')"
    conditions = [
        f"d.status IN {statuses}",
        "d.tenant_id = ?" if scope.subscription_id is None else "+d.tenant_id = ?",
        "matches(?, e.event_type)",
        "length(e.body) > 0",
        TAKES_EVENTS,
    ]
    bindings: list[Any] = [scope.tenant_id, scope.patterns]
    since = None if scope.since_ms is None else lowest_id("dlv", scope.since_ms)
    until = None if scope.until_ms is None else lowest_id("dlv", scope.until_ms)
    for condition, value in (
        ("d.subscription_id = ?", scope.subscription_id),
        ("d.delivery_id >= ?", since),
        ("d.delivery_id < ?", until),
        ("d.delivery_id > ?", None if replay is None else replay.cursor),
        # What fails again while the replay goes on is not part of it.
        ("d.finished_at_ms <= ?", None if replay is None else replay.created_at_ms),
    ):
        if value is not None:
            conditions.append(condition)
            bindings.append(value)
    return " AND ".join(conditions), bindings


def _missed_bindings(scope: ReplayScope, replay: Replay | None = None) -> tuple[Any, ...]:
    first = lowest_seq(scope.since_ms or 0)
    until_ms = _TIME_MAX_MS if scope.until_ms is None else scope.until_ms
    if replay is not None:
        first = max(first, int(replay.cursor or 0) + 1)
        until_ms = min(until_ms, replay.created_at_ms + 1)
    return (scope.subscription_id, scope.tenant_id, first, lowest_seq(until_ms), scope.patterns)


def _find_receiving(tx: Transaction, tenant_id: str, subscription_id: str) -> Subscription:
    """A subscription that takes events. Raises `NotFound` and `InvalidState`."""
    subscription = tx.routing.get(subscription_id)
    if subscription is not None and subscription.tenant_id == tenant_id:
        return subscription
    row = fetch_one(
        tx.db,
        "SELECT status FROM subscription WHERE subscription_id = ? AND tenant_id = ?"
        " AND status <> 'deleted'",
        (subscription_id, tenant_id),
    )
    if row is None:
        raise NotFound("there is no such subscription")
    raise takes_no_events(Status(row[0]))


def _replay_of(row: Row) -> Replay:
    replay_id, tenant_id, only, subscription_id, patterns, since_ms, until_ms, *rest = row
    scope = ReplayScope(tenant_id, only, subscription_id, patterns, since_ms, until_ms)
    total, created_at_ms, done, cursor, finished_at_ms = rest
    return Replay(replay_id, scope, total, created_at_ms, done, cursor, finished_at_ms)
