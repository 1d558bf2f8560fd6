"""Accepting events, and reading them back, in SQLite."""

from collections.abc import Collection, Sequence
from typing import Any

from tidings.core import limits
from tidings.core.audit import NOBODY, AuditRecord
from tidings.core.content_filter import EventData
from tidings.core.delivery import Delivery, Turn, ending_of
from tidings.core.event import (
    ERASED_BODY,
    Accepted,
    AcceptResult,
    Conflicting,
    Event,
    NewEvent,
    OverQuota,
    Unfitting,
)
from tidings.core.identifier import lowest_seq
from tidings.core.refusals import NotFound
from tidings.core.subscription import Subscription
from tidings.ports.clock import Chance
from tidings.ports.records import EventFilter, EventRecord, StoredBody
from tidings.storage.sql.access import SingleStatement
from tidings.storage.sql.audit import write_audit
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import Database, fetch_all, fetch_one, given
from tidings.storage.sql.endings import end_rows
from tidings.storage.sql.rows import (
    DELIVERY_COLUMNS,
    DELIVERY_TYPES,
    Row,
    delivery_of,
    delivery_row,
)
from tidings.storage.sql.tenants import note_tenant
from tidings.storage.sql.transaction import Transaction

_EVENT_COLUMNS = "seq, event_id, tenant_id, event_type, occurred_at, ordering_key"
_Key = tuple[str, str]


class SqlEvents(SqlBase):
    """The event part of the store port."""

    async def accept_events(
        self, events: Sequence[NewEvent], *, now_ms: int, backlog_max: int | None = None
    ) -> list[AcceptResult]:
        """See `EventStore`."""
        self.keep_reserve()
        return await self.write(
            lambda tx: Acceptance(tx, self.chance, now_ms, backlog_max).accept(events)
        )

    async def get_event(self, tenant_id: str, event_id: str) -> Event:
        """See `EventStore`."""
        return await self.read(lambda db: find_event(db, tenant_id, event_id))

    async def list_events(
        self, wanted: EventFilter, *, before: int | None, limit: int, not_below: int | None = None
    ) -> list[EventRecord]:
        """See `EventStore`."""
        # Without patterns it is the list of `*`, which our own events do not match.
        patterns = wanted.patterns or "*"
        where, bindings = given(
            *_range(wanted, before), ("matches(?, event_type)", patterns), ("seq >= ?", not_below)
        )
        sql = f"SELECT {_EVENT_COLUMNS} FROM event WHERE {where} ORDER BY seq DESC LIMIT ?"
        rows = await self.read(lambda db: fetch_all(db, sql, (*bindings, limit)))
        return [EventRecord(*row) for row in rows]

    async def find_end_of_look(
        self, wanted: EventFilter, *, before: int | None, events: int
    ) -> int | None:
        """See `EventStore`."""
        where, bindings = given(*_range(wanted, before))
        sql = (
            "SELECT count(*), min(seq) FROM"
            f" (SELECT seq FROM event WHERE {where} ORDER BY seq DESC LIMIT ?) AS looked_at"
        )
        count, last = await self.read(lambda db: fetch_one(db, sql, (*bindings, events)))
        return int(last) if count == events else None

    async def erase_event_data(
        self, tenant_id: str, event_id: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """See `EventStore`."""

        def write(tx: Transaction) -> None:
            event = find_event(tx.db, tenant_id, event_id)
            tx.db.execute("UPDATE event SET body = ? WHERE seq = ?", (ERASED_BODY, event.seq))
            tx.has_erased = True
            rows = fetch_all(
                tx.db, f"SELECT {DELIVERY_COLUMNS} FROM delivery WHERE event_seq = ?", (event.seq,)
            )
            end_rows(tx, [delivery_of(row) for row in rows], ending_of(Turn.DATA_ERASED), now_ms)
            write_audit(tx, AuditRecord("event.data_erased", by, tenant_id, event_id), now_ms)

        await self.write(write)

    async def read_bodies(self, event_seqs: Collection[int]) -> dict[int, StoredBody]:
        """See `EventStore`."""

        def read(db: Database) -> dict[int, StoredBody]:
            rows = db.execute_many(
                "WITH wanted (wanted_seq) AS (",
                [(seq,) for seq in event_seqs],
                ") SELECT seq, event_id, body, hops FROM wanted JOIN event ON seq = wanted_seq"
                " WHERE length(body) > 0",
                types="i",
            )
            return {seq: StoredBody(*stored) for seq, *stored in rows}

        return await self.read(SingleStatement(read))


def _range(wanted: EventFilter, before: int | None) -> tuple[tuple[str, Any], ...]:
    """The conditions of a list of events but for their types."""
    return (
        ("tenant_id = ?", wanted.tenant_id),
        ("seq < ?", before),
        ("seq >= ?", None if wanted.since_ms is None else lowest_seq(wanted.since_ms)),
        ("seq < ?", None if wanted.until_ms is None else lowest_seq(wanted.until_ms)),
    )


def find_event(db: Database, tenant_id: str, event_id: str) -> Event:
    """The event of a tenant by its id. Raises `NotFound`."""
    columns = ", ".join("e." + name.strip() for name in _EVENT_COLUMNS.split(","))
    row = fetch_one(
        db,
        f"SELECT {columns}, e.body FROM event_key k JOIN event e ON e.seq = k.event_seq"
        " WHERE k.tenant_id = ? AND k.event_key = ?",
        (tenant_id, event_id),
    )
    if row is None or row[1] != event_id:
        raise NotFound("there is no such event")
    return Event(*row)


def new_delivery(
    tx: Transaction,
    chance: Chance,
    subscription: Subscription,
    *,
    event_seq: int,
    ordering_key: str | None,
    body_bytes: int,
    now_ms: int,
) -> Delivery:
    """A first delivery of an event to a subscription, not yet inserted."""
    return Delivery(
        seq=tx.next_seq(now_ms),
        delivery_id=chance.new_id("dlv", now_ms),
        tenant_id=subscription.tenant_id,
        subscription_id=subscription.subscription_id,
        event_seq=event_seq,
        ordering_key=ordering_key if subscription.ordering_enabled else None,
        form=subscription.form_of(body_bytes),
    )


def insert_deliveries(tx: Transaction, deliveries: Sequence[Delivery]) -> None:
    """Put rows into the queue and note that they arrived."""
    tx.db.execute_many(
        "INSERT INTO delivery", [delivery_row(one) for one in deliveries], types=DELIVERY_TYPES
    )
    tx.backlog.inserted(deliveries)
    tx.arrived.extend(deliveries)


class Acceptance:
    """One batch of events on its way into the tables."""

    def __init__(
        self, tx: Transaction, chance: Chance, now_ms: int, backlog_max: int | None
    ) -> None:
        self._tx = tx
        self._chance = chance
        self._now_ms = now_ms
        self._backlog_max = backlog_max
        self._backlogs: dict[str, int] = {}
        self._answered: dict[_Key, tuple[bytes, Accepted]] = {}
        self._events: list[Row] = []
        self._keys: list[Row] = []
        self._deliveries: list[Delivery] = []
        self._filter_steps = 0

    def accept(self, events: Sequence[NewEvent]) -> list[AcceptResult]:
        self._look_up(events)
        results: list[AcceptResult] = []
        for event in events:
            if results and self._is_full():
                break
            results.append(self._accept_one(event))
        self._insert()
        return results

    def _is_full(self) -> bool:
        return (
            len(self._deliveries) >= limits.COMMIT_DELIVERIES_MAX
            or self._filter_steps >= limits.COMMIT_FILTER_STEPS_MAX
        )

    def publish_own(self, events: Sequence[NewEvent]) -> None:
        """Let in events of our own making: no repeats, and beyond all quotas."""
        for event in events:
            others = [one for one in self._wanting(event) if one.subscription_id != event.about]
            self._take(event, others)
        self._insert()

    def _look_up(self, events: Sequence[NewEvent]) -> None:
        """Find those that were accepted before."""
        keys = dict.fromkeys(
            key
            for event in events
            for key in ((event.tenant_id, event.event_key), (event.tenant_id, event.event_id))
        )
        found = self._tx.db.execute_many(
            "WITH wanted (wanted_tenant, wanted_key) AS (",
            list(keys),
            ") SELECT k.tenant_id, k.event_key, k.content_hash, e.event_id, e.event_type,"
            " e.occurred_at, k.deliveries FROM wanted"
            " CROSS JOIN event_key k ON k.tenant_id = wanted_tenant AND k.event_key = wanted_key"
            " CROSS JOIN event e ON e.seq = k.event_seq",
            types="tt",
        )
        for tenant_id, event_key, content_hash, *answer in found:
            event_id, event_type, occurred_at, deliveries = answer
            accepted = Accepted(event_id, event_type, occurred_at, deliveries, is_repeat=True)
            self._answered[tenant_id, event_key] = (content_hash, accepted)

    def _accept_one(self, event: NewEvent) -> AcceptResult:
        known = self._answered.get((event.tenant_id, event.event_key))
        if known is not None:
            content_hash, accepted = known
            if content_hash != event.content_hash:
                return Conflicting(accepted.event_id)
            return accepted
        if event.is_over_rate:
            return OverQuota("events_per_second")
        if event.faults:
            return Unfitting(event.faults)
        wanting = self._wanting(event)
        if wanting and not self._has_room(event.tenant_id, len(wanting)):
            return OverQuota("backlog")
        return self._take(event, wanting)

    def _wanting(self, event: NewEvent) -> list[Subscription]:
        """Whoever gets the event; what their filters said is told with the commit."""
        tx, data = self._tx, EventData(event.body, is_body=True)
        wanting = tx.routing.wanting(event.tenant_id, event.event_type, data, tx.filter_outcomes)
        self._filter_steps += data.steps
        return wanting

    def _has_room(self, tenant_id: str, deliveries: int) -> bool:
        """Whether the tenant may begin deliveries; if so they count from now on."""
        if self._backlog_max is None:
            return True
        # What this batch begins is put into the queue, and noted, at its end.
        backlog = self._backlogs.get(tenant_id)
        if backlog is None:
            backlog = self._tx.backlog.of(tenant_id)
        if backlog >= self._backlog_max:
            return False
        self._backlogs[tenant_id] = backlog + deliveries
        return True

    def _take(self, event: NewEvent, wanting: Sequence[Subscription]) -> Accepted:
        """Let a new event in, with a delivery for everybody who wants it."""
        tx, now_ms = self._tx, self._now_ms
        seq = tx.next_seq(now_ms)
        for subscription in wanting:
            self._deliveries.append(
                new_delivery(
                    tx,
                    self._chance,
                    subscription,
                    event_seq=seq,
                    ordering_key=event.ordering_key,
                    body_bytes=len(event.body),
                    now_ms=now_ms,
                )
            )
        is_derived = event.event_key != event.event_id
        self._events.append(
            (
                seq,
                event.tenant_id,
                event.event_id,
                event.event_key if is_derived else None,
                event.event_type,
                event.occurred_at,
                event.ordering_key,
                event.body,
                event.hops,
                event.about,
            )
        )
        keys = {event.event_key, event.event_id}
        for key in keys:
            self._keys.append(
                (event.tenant_id, key, event.event_id, seq, event.content_hash, len(wanting))
            )
        accepted = Accepted(event.event_id, event.event_type, event.occurred_at, len(wanting))
        repeat = Accepted(
            event.event_id, event.event_type, event.occurred_at, len(wanting), is_repeat=True
        )
        for key in keys:
            self._answered[event.tenant_id, key] = (event.content_hash, repeat)
        if wanting:
            tx.bodies[seq] = StoredBody(event.event_id, event.body, event.hops)
        return accepted

    def _insert(self) -> None:
        db = self._tx.db
        for tenant_id in dict.fromkeys(row[1] for row in self._events):
            note_tenant(self._tx, tenant_id, self._now_ms)
        db.execute_many("INSERT INTO event", self._events, types="ittttttbit")
        if self._events:
            self._tx.newest_event_seq = self._events[-1][0]
        db.execute_many("INSERT INTO event_key", self._keys, types="tttibi")
        insert_deliveries(self._tx, self._deliveries)
