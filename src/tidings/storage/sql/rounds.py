"""New rounds of finished deliveries: a replay is a new row with the old delivery's id."""

from collections.abc import Sequence

import msgspec

from tidings.core.delivery import Delivery, DeliveryStatus, IllegalTurn, Turn, status_after
from tidings.core.payload import Form
from tidings.core.refusals import InvalidState, NotFound
from tidings.core.subscription import Status, takes_no_events
from tidings.storage.sql.database import Database, fetch_one
from tidings.storage.sql.events import insert_deliveries
from tidings.storage.sql.rows import Row
from tidings.storage.sql.transaction import Transaction

FINISHED_SELECT = (
    "SELECT d.tenant_id, d.delivery_id, d.subscription_id, d.event_seq, d.round, d.attempt_count,"
    " d.status, e.ordering_key, length(e.body) > 0, s.status, s.ordering_enabled,"
    " d.form"
    " FROM finished_delivery d CROSS JOIN event e ON e.seq = d.event_seq"
    " CROSS JOIN subscription s ON s.subscription_id = d.subscription_id"
)
TAKES_EVENTS = "s.status IN ('active', 'paused')"


class FinishedDelivery(msgspec.Struct, frozen=True):
    """A finished delivery with all that decides whether and how a new round may begin."""

    tenant_id: str
    delivery_id: str
    subscription_id: str
    event_seq: int
    round: int
    attempt_count: int
    status: DeliveryStatus
    ordering_key: str | None
    has_body: bool
    subscription_status: Status
    ordering_enabled: bool
    form: Form


def finished_of(row: Row) -> FinishedDelivery:
    """The finished delivery in a row of `FINISHED_SELECT`."""
    members: Row = (
        *row[:6],
        DeliveryStatus(row[6]),
        row[7],
        bool(row[8]),
        Status(row[9]),
        bool(row[10]),
        Form(row[11]),
    )
    return FinishedDelivery(*members)


def find_finished(db: Database, tenant_id: str, delivery_id: str) -> FinishedDelivery:
    """A finished delivery. Raises `NotFound`."""
    row = fetch_one(
        db,
        f"{FINISHED_SELECT} WHERE d.tenant_id = ? AND d.delivery_id = ?",
        (tenant_id, delivery_id),
    )
    if row is None:
        raise NotFound("there is no such delivery")
    return finished_of(row)


def begin_round(
    tx: Transaction, finished: FinishedDelivery, *, now_ms: int, is_single: bool = False
) -> Delivery:
    """Begin one new round. Raises `InvalidState` where none is possible."""
    try:
        status_after(finished.status, Turn.REPLAYED)
    except IllegalTurn:
        raise InvalidState(f"the delivery is {finished.status} and cannot be replayed") from None
    if finished.subscription_status not in (Status.ACTIVE, Status.PAUSED):
        raise takes_no_events(finished.subscription_status)
    if not finished.has_body:
        raise InvalidState("the event's data was erased")
    return begin_rounds(tx, [finished], now_ms=now_ms, is_single=is_single)[0]


def begin_rounds(
    tx: Transaction,
    finished: Sequence[FinishedDelivery],
    *,
    now_ms: int,
    is_single: bool = False,
) -> list[Delivery]:
    """Move finished deliveries back into the queue, as new rows at its end."""
    rows = [
        Delivery(
            seq=tx.next_seq(now_ms),
            delivery_id=one.delivery_id,
            tenant_id=one.tenant_id,
            subscription_id=one.subscription_id,
            event_seq=one.event_seq,
            round=one.round + 1,
            attempt_count=one.attempt_count,
            ordering_key=one.ordering_key if one.ordering_enabled else None,
            is_single=is_single,
            form=one.form,
        )
        for one in finished
    ]
    tx.db.execute_many(
        "DELETE FROM finished_delivery WHERE (tenant_id, delivery_id) IN (",
        [(one.tenant_id, one.delivery_id) for one in finished],
        ")",
        types="tt",
    )
    insert_deliveries(tx, rows)
    return rows
