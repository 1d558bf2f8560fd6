"""Deliveries in SQLite as people look at them and act on them."""

import heapq
from itertools import islice
from typing import Any, Final

import msgspec

from tidings.core.attempt import Attempt
from tidings.core.audit import NOBODY, AuditRecord
from tidings.core.delivery import (
    DeadLetterReason,
    Delivery,
    DeliveryStatus,
    Turn,
    ending_of,
    status_after,
)
from tidings.core.identifier import lowest_id
from tidings.core.payload import Form
from tidings.core.refusals import InvalidState, NotFound
from tidings.core.subscription import Status
from tidings.ports.records import DeliveryFilter, DeliveryRecord
from tidings.storage.sql.audit import write_audit
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import Database, Rows, fetch_all, fetch_one, given
from tidings.storage.sql.endings import end_rows
from tidings.storage.sql.rounds import begin_round, find_finished
from tidings.storage.sql.rows import (
    ATTEMPT_COLUMNS,
    DELIVERY_COLUMNS,
    Row,
    attempt_of,
    delivery_of,
)
from tidings.storage.sql.transaction import Transaction

_PENDING_SELECT = (
    "SELECT d.delivery_id, d.tenant_id, d.subscription_id, e.event_id, e.event_type, 'pending',"
    " d.attempt_count, d.round, d.due_at_ms, NULL, NULL, e.hops, d.form"
    " FROM delivery d CROSS JOIN event e ON e.seq = d.event_seq"
)
_FINISHED_SELECT = (
    "SELECT d.delivery_id, d.tenant_id, d.subscription_id, e.event_id, e.event_type, d.status,"
    " d.attempt_count, d.round, NULL, d.finished_at_ms, d.reason, e.hops, d.form"
    " FROM finished_delivery d CROSS JOIN event e ON e.seq = d.event_seq"
)
_INDEX_OF_FEW: Final = {
    DeliveryStatus.DEAD_LETTERED: "dead_letter_by_tenant",
    DeliveryStatus.CANCELLED: "cancelled_by_tenant",
}


class SqlDeliveries(SqlBase):
    """The part of the store port that shows and changes single deliveries."""

    async def get_delivery(self, tenant_id: str, delivery_id: str) -> DeliveryRecord:
        """See `DeliveryStore`."""

        def read(db: Database) -> DeliveryRecord:
            for select in (_PENDING_SELECT, _FINISHED_SELECT):
                row = fetch_one(
                    db,
                    f"{select} WHERE d.tenant_id = ? AND d.delivery_id = ?",
                    (tenant_id, delivery_id),
                )
                if row is not None:
                    return _record_of(row)
            raise NotFound("there is no such delivery")

        return await self.read(read)

    async def list_deliveries(
        self, wanted: DeliveryFilter, *, before: str | None, limit: int
    ) -> list[DeliveryRecord]:
        """See `DeliveryStore`."""

        def read(db: Database) -> list[DeliveryRecord]:
            is_wide = wanted.subscription_id is None and wanted.event_id is None
            if wanted.tenant_id is None and is_wide:
                rows = _list_of_all_tenants(db, wanted, before, limit)
            else:
                rows = _list(db, wanted, before, limit)
            return [_record_of(row) for row in rows]

        return await self.read(read)

    async def list_attempts(self, delivery_id: str) -> list[Attempt]:
        """See `DeliveryStore`."""
        rows = await self.read(
            lambda db: fetch_all(
                db,
                f"SELECT {ATTEMPT_COLUMNS} FROM attempt WHERE delivery_id = ? ORDER BY number",
                (delivery_id,),
            )
        )
        return [attempt_of(row) for row in rows]

    async def retry_delivery(
        self, tenant_id: str, delivery_id: str, *, now_ms: int, by: str = NOBODY
    ) -> Delivery:
        """See `DeliveryStore`."""

        def write(tx: Transaction) -> Delivery:
            pending = _find_pending(tx.db, tenant_id, delivery_id)
            asked = None if pending is None else _ask_for_attempt(tx, pending, now_ms)
            if asked is None:
                finished = find_finished(tx.db, tenant_id, delivery_id)
                asked = begin_round(tx, finished, now_ms=now_ms, is_single=True)
            write_audit(tx, AuditRecord("delivery.retried", by, tenant_id, delivery_id), now_ms)
            return asked

        return await self.write(write)

    async def replay_delivery(
        self, tenant_id: str, delivery_id: str, *, now_ms: int, by: str = NOBODY
    ) -> Delivery:
        """See `DeliveryStore`."""

        def write(tx: Transaction) -> Delivery:
            if _find_pending(tx.db, tenant_id, delivery_id) is not None:
                raise InvalidState("the delivery is pending; only a finished one can be replayed")
            finished = find_finished(tx.db, tenant_id, delivery_id)
            begun = begin_round(tx, finished, now_ms=now_ms)
            write_audit(tx, AuditRecord("delivery.replayed", by, tenant_id, delivery_id), now_ms)
            return begun

        return await self.write(write)

    async def cancel_delivery(
        self, tenant_id: str, delivery_id: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """See `DeliveryStore`."""

        def write(tx: Transaction) -> None:
            pending = _find_pending(tx.db, tenant_id, delivery_id)
            if pending is None:
                finished = find_finished(tx.db, tenant_id, delivery_id)
                raise InvalidState(f"the delivery is {finished.status} already")
            if not end_rows(tx, [pending], ending_of(Turn.CANCELLED), now_ms):
                raise InvalidState("the delivery has ended a moment ago")
            write_audit(tx, AuditRecord("delivery.cancelled", by, tenant_id, delivery_id), now_ms)

        await self.write(write)

    async def discard_dead_letter(
        self, tenant_id: str, delivery_id: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """See `DeliveryStore`."""
        discarded = status_after(DeliveryStatus.DEAD_LETTERED, Turn.DISCARDED)

        def write(tx: Transaction) -> None:
            changed = fetch_all(
                tx.db,
                "UPDATE finished_delivery SET status = ?, reason = NULL, finished_at_ms = ?"
                " WHERE tenant_id = ? AND delivery_id = ? AND status = 'dead_lettered'"
                " RETURNING 1",
                (discarded, now_ms, tenant_id, delivery_id),
            )
            if not changed:
                raise NotFound("there is no such dead letter")
            write_audit(tx, AuditRecord("delivery.discarded", by, tenant_id, delivery_id), now_ms)

        await self.write(write)


def _record_of(row: Row) -> DeliveryRecord:
    reason = None if row[10] is None else DeadLetterReason(row[10])
    members: Row = (*row[:5], DeliveryStatus(row[5]), *row[6:10], reason, row[11], Form(row[12]))
    return DeliveryRecord(*members)


def _list_of_all_tenants(
    db: Database, wanted: DeliveryFilter, before: str | None, limit: int
) -> Rows:
    """The newest of each tenant, merged: every index begins with the tenant."""
    found: Rows = []
    for (tenant_id,) in fetch_all(db, "SELECT tenant_id FROM tenant"):
        above = found[-1][0] if len(found) == limit else None
        of_tenant = msgspec.structs.replace(wanted, tenant_id=tenant_id)
        found = _newest(found, _list(db, of_tenant, before, limit, above=above), limit)
    return found


def _list(
    db: Database,
    wanted: DeliveryFilter,
    before: str | None,
    limit: int,
    *,
    above: str | None = None,
) -> Rows:
    where, bindings = _conditions(db, wanted, before, above)
    tail = f" WHERE {where} ORDER BY d.delivery_id DESC LIMIT {limit:d}"
    pending: Rows = []
    finished: Rows = []
    if wanted.status in (None, DeliveryStatus.PENDING):
        pending = fetch_all(db, _PENDING_SELECT + tail, bindings)
    if wanted.status is None:
        finished = fetch_all(db, _FINISHED_SELECT + tail, bindings)
    elif wanted.status is not DeliveryStatus.PENDING:
        # Written out, so that the indexes of those that are few can serve.
        select = f"{_finished_select(wanted)} WHERE d.status = '{wanted.status.value}' AND"
        finished = fetch_all(db, select + tail.removeprefix(" WHERE"), bindings)
    return _newest(pending, finished, limit)


def _finished_select(wanted: DeliveryFilter) -> str:
    """The finished ones by the index of the few that are wanted, for which a planner may not care.

    By the primary key all of the tenant would be looked at.
    """
    index = None if wanted.status is None else _INDEX_OF_FEW.get(wanted.status)
    if index is None or _is_narrow(wanted):
        return _FINISHED_SELECT
    table = "finished_delivery d"
    return _FINISHED_SELECT.replace(table, f"{table} INDEXED BY {index}")


def _is_narrow(wanted: DeliveryFilter) -> bool:
    """Whether the deliveries of an event or a subscription are wanted, few among a tenant's."""
    return wanted.event_id is not None or wanted.subscription_id is not None


def _newest(one: Rows, other: Rows, limit: int) -> Rows:
    """The first of two lists that are both newest first."""
    return list(islice(heapq.merge(one, other, key=lambda row: row[0], reverse=True), limit))


def _event_seqs(db: Database, tenant_id: str | None, event_id: str) -> list[int]:
    """The events of this id: one in a tenant, and any number in all of them."""
    sql = (
        "SELECT k.event_seq FROM tenant t CROSS JOIN event_key k ON k.tenant_id = t.tenant_id"
        " WHERE k.event_key = ?1 AND k.event_id = ?1"
    )
    if tenant_id is None:
        rows = fetch_all(db, sql, (event_id,))
    else:
        rows = fetch_all(db, f"{sql} AND t.tenant_id = ?2", (event_id, tenant_id))
    return [row[0] for row in rows]


def _conditions(
    db: Database, wanted: DeliveryFilter, before: str | None, above: str | None
) -> tuple[str, list[Any]]:
    """The WHERE clause for either table, naming columns so that the narrowest index serves."""
    among, event_seqs = "TRUE", None
    if wanted.event_id is not None:
        event_seqs = _event_seqs(db, wanted.tenant_id, wanted.event_id)
        # One id is one event, but for those who look at all tenants.
        among = f"d.event_seq IN ({','.join(map(str, event_seqs)) or 'NULL'})"
    since = None if wanted.since_ms is None else lowest_id("dlv", wanted.since_ms)
    until = None if wanted.until_ms is None else lowest_id("dlv", wanted.until_ms)
    where, bindings = given(
        ("+d.tenant_id = ?" if _is_narrow(wanted) else "d.tenant_id = ?", wanted.tenant_id),
        ("d.subscription_id = ?", wanted.subscription_id),
        ("d.delivery_id < ?", before),
        ("d.delivery_id > ?", above),
        ("d.delivery_id >= ?", since),
        ("d.delivery_id < ?", until),
    )
    return f"{among} AND {where}", bindings


def _find_pending(db: Database, tenant_id: str, delivery_id: str) -> Delivery | None:
    row = fetch_one(
        db,
        f"SELECT {DELIVERY_COLUMNS} FROM delivery WHERE tenant_id = ? AND delivery_id = ?",
        (tenant_id, delivery_id),
    )
    return None if row is None else delivery_of(row)


def _ask_for_attempt(tx: Transaction, pending: Delivery, now_ms: int) -> Delivery | None:
    """Put one attempt before the schedule of a pending delivery, which keeps its time.

    None when the delivery has ended since it was found.
    """
    row = fetch_one(
        tx.db,
        "SELECT status FROM subscription WHERE subscription_id = ?",
        (pending.subscription_id,),
    )
    status = Status.DELETED if row is None else Status(row[0])
    if status is not Status.ACTIVE:
        raise InvalidState(f"the subscription is {status}; nothing is sent to it")
    if pending.ordering_key is not None:
        head = fetch_one(
            tx.db,
            "SELECT min(seq) FROM delivery WHERE subscription_id = ? AND ordering_key = ?",
            (pending.subscription_id, pending.ordering_key),
        )
        if head is not None and head[0] != pending.seq:
            raise InvalidState("it waits behind an earlier delivery with the same ordering key")
    # Its schedule is kept as it is now: a result may have been recorded since the row was read.
    row = fetch_one(
        tx.db,
        "UPDATE delivery SET due_at_ms = ?, kept_due_at_ms = coalesce(kept_due_at_ms, due_at_ms, 0)"
        f" WHERE seq = ? RETURNING {DELIVERY_COLUMNS}",
        (now_ms, pending.seq),
    )
    if row is None:
        return None
    asked = delivery_of(row)
    tx.arrived.append(asked)
    return asked
