"""Replays in SQLite: of one event, and in bulk by a cursor that survives crashes."""

from collections.abc import Sequence
from functools import partial

import msgspec

from tidings.core import limits
from tidings.core.audit import NOBODY, AuditRecord
from tidings.core.content_filter import EventData
from tidings.core.delivery import DeliveryStatus
from tidings.core.event import Event
from tidings.core.refusals import InvalidState, NotFound
from tidings.core.subscription import Status, Subscription, takes_no_events
from tidings.ports.records import Replay, ReplayScope
from tidings.storage.sql.audit import write_audit
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import Database, fetch_all, fetch_one
from tidings.storage.sql.events import find_event, insert_deliveries, new_delivery
from tidings.storage.sql.replay_steps import Bounds, Step, next_step
from tidings.storage.sql.rounds import FINISHED_SELECT, begin_rounds, finished_of
from tidings.storage.sql.rows import Row
from tidings.storage.sql.transaction import Transaction

_REPLAY_COLUMNS = (
    'replay_id, tenant_id, "only", subscription_id, patterns, since_ms, until_ms, total,'
    " created_at_ms, done, cursor, finished_at_ms"
)


_COUNTED = Bounds(limits.REPLAY_ROWS_COUNTED_AT_ONCE, limits.REPLAY_ROWS_COUNTED_AT_ONCE)


class SqlReplays(SqlBase):
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
                data = EventData(event.body, is_body=True)
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
        # In pieces, so that other reads go between.
        total, cursor, is_last = 0, "", False
        while not is_last:
            step = await self.read(partial(next_step, scope=scope, cursor=cursor, bounds=_COUNTED))
            total, cursor, is_last = total + len(step.rows), step.cursor, step.is_last
        return total

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
            tx.fence()
            replay = find_replay(tx.db, replay_id)
            if replay is None:
                raise NotFound("there is no such replay")
            if replay.finished_at_ms is not None:
                return replay
            step = self._next_step(tx, replay, limit)
            self._begin_step(tx, replay.scope, step, now_ms)
            done = replay.done + len(step.rows)
            replay = msgspec.structs.replace(
                replay,
                # What ended after it was counted, and before its turn, is replayed as well.
                total=max(replay.total, done),
                done=done,
                cursor=step.cursor,
                finished_at_ms=now_ms if step.is_last else None,
            )
            tx.db.execute(
                "UPDATE replay SET total = ?, done = ?, cursor = ?, finished_at_ms = ?"
                " WHERE replay_id = ?",
                (replay.total, replay.done, replay.cursor, replay.finished_at_ms, replay_id),
            )
            tx.replays.append(replay)
            return replay

        return await self.write(write)

    async def get_replay(self, tenant_id: str, replay_id: str) -> Replay:
        """See `DeliveryStore`."""
        replay = await self.read(lambda db: find_replay(db, replay_id))
        if replay is None or replay.scope.tenant_id != tenant_id:
            raise NotFound("there is no such replay")
        return replay

    async def load_replays(self) -> list[Replay]:
        """See `DeliveryStore`."""
        return await self.read(load_replays)

    def _next_step(self, tx: Transaction, replay: Replay, limit: int) -> Step:
        scope, looked_max = replay.scope, limits.REPLAY_ROWS_LOOKED_AT_MAX
        if scope.subscription_id is not None:
            subscription = tx.routing.get(scope.subscription_id)
            if subscription is None:
                # Disabled or deleted meanwhile: there is nobody left to deliver to.
                return Step([], replay.cursor, is_last=True)
            if subscription.content_filter is not None:
                looked_max //= limits.REPLAY_FILTER_COST
        bounds = Bounds(limit, looked_max, replay.created_at_ms)
        return next_step(tx.db, scope, replay.cursor, bounds)

    def _begin_step(self, tx: Transaction, scope: ReplayScope, step: Step, now_ms: int) -> None:
        """Begin what a step covers: new rounds, or deliveries for events that have none."""
        if scope.only != "missed":
            begin_rounds(tx, [finished_of(row) for row in step.rows], now_ms=now_ms)
            return
        subscription = tx.routing.get(scope.subscription_id or "")
        if subscription is None:
            return
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
            for seq, ordering_key, body_bytes in step.rows
        ]
        # They are repeats to the scheduler: fresh events must not wait behind a replay.
        insert_deliveries(tx, [msgspec.structs.replace(row, round=1) for row in rows])


def load_replays(db: Database) -> list[Replay]:
    """The replays that are not finished."""
    sql = f"SELECT {_REPLAY_COLUMNS} FROM replay WHERE finished_at_ms IS NULL"
    return [_replay_of(row) for row in fetch_all(db, sql)]


def find_replay(db: Database, replay_id: str) -> Replay | None:
    """A replay of any tenant."""
    sql = f"SELECT {_REPLAY_COLUMNS} FROM replay WHERE replay_id = ?"
    row = fetch_one(db, sql, (replay_id,))
    return None if row is None else _replay_of(row)


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
