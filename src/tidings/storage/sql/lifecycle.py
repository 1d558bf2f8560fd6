"""Publishing lifecycle events, within the transaction that makes what they tell of."""

from collections.abc import Iterable

import msgspec

from tidings.core.delivery import Delivery
from tidings.core.event import NewEvent, content_hash, frozen_body
from tidings.core.pattern import is_reserved
from tidings.core.timestamp import format_timestamp
from tidings.ports.clock import Chance
from tidings.ports.records import DeliveryRecord, LifecycleFact, SubscriptionRecord
from tidings.ports.store import LifecycleData
from tidings.storage.sealing import Sealer
from tidings.storage.sql.changes import find_record
from tidings.storage.sql.events import Acceptance
from tidings.storage.sql.health import read_health
from tidings.storage.sql.transaction import Telling, Transaction

_EventNames = dict[int, tuple[str, str]]
_Records = dict[str, SubscriptionRecord | None]


class Lifecycle:
    """Turns what a write noted into events and their deliveries, as a publish would."""

    def __init__(self, sealer: Sealer, chance: Chance, data_of: LifecycleData) -> None:
        self._sealer = sealer
        self._chance = chance
        self._data_of = data_of

    def tell(self, tx: Transaction) -> None:
        """Publish everything that the write under way has noted."""
        names = _event_names(tx, (row for telling in tx.tellings for row in telling.ended))
        events = []
        records: _Records = {}
        for telling in tx.tellings:
            if telling.record is None and telling.subscription_id not in records:
                records[telling.subscription_id] = self._record(tx, telling.subscription_id)
            record = telling.record or records[telling.subscription_id]
            fact = None if record is None else _fact(telling, record, names)
            if fact is not None:
                events.append(self._event(fact, telling.at_ms))
        now_ms = max(telling.at_ms for telling in tx.tellings)
        Acceptance(tx, self._chance, now_ms, None).publish_own(events)

    def _record(self, tx: Transaction, subscription_id: str) -> SubscriptionRecord | None:
        subscription = tx.routing.get(subscription_id)
        if subscription is None:
            return find_record(tx, self._sealer, subscription_id)
        return SubscriptionRecord(subscription, read_health(tx.db, subscription_id))

    def _event(self, fact: LifecycleFact, at_ms: int) -> NewEvent:
        data = self._data_of(fact)
        event_id = self._chance.new_id("evt", at_ms)
        occurred_at = format_timestamp(at_ms)
        return NewEvent(
            event_id=event_id,
            event_key=event_id,
            tenant_id=fact.subscription.tenant_id,
            event_type=fact.type,
            occurred_at=occurred_at,
            ordering_key=None,
            content_hash=content_hash(fact.type, None, None, data),
            body=frozen_body(event_id, fact.type, occurred_at, data),
            about=fact.subscription.subscription_id,
        )


def _fact(telling: Telling, record: SubscriptionRecord, names: _EventNames) -> LifecycleFact | None:
    """What is told, unless only deliveries of our own events are concerned."""
    ended = [row for row in telling.ended if row.event_seq in names]
    if telling.ended and not ended:
        return None
    fact = LifecycleFact(
        telling.type,
        record.subscription,
        record.health,
        reason=telling.reason,
        dead_lettered=telling.dead_lettered,
    )
    if not ended:
        return fact
    assert telling.ending is not None
    return msgspec.structs.replace(
        fact,
        reason=telling.ending.reason,
        delivery=_dead_letter(telling, ended[0], names) if len(ended) == 1 else None,
        dead_lettered=None if len(ended) == 1 else len(ended),
    )


def _event_names(tx: Transaction, rows: Iterable[Delivery]) -> _EventNames:
    """Ids and types of the events of these rows, but for our own."""
    found = tx.db.execute_many(
        "SELECT seq, event_id, event_type FROM event WHERE seq IN (",
        [(seq,) for seq in dict.fromkeys(row.event_seq for row in rows)],
        ")",
        types="i",
    )
    return {
        seq: (event_id, event_type)
        for seq, event_id, event_type in found
        if not is_reserved(event_type)
    }


def _dead_letter(telling: Telling, delivery: Delivery, names: _EventNames) -> DeliveryRecord:
    event_id, event_type = names[delivery.event_seq]
    assert telling.ending is not None
    return DeliveryRecord(
        delivery_id=delivery.delivery_id,
        tenant_id=delivery.tenant_id,
        subscription_id=delivery.subscription_id,
        event_id=event_id,
        event_type=event_type,
        status=telling.ending.status,
        attempt_count=delivery.attempt_count,
        replay_count=delivery.round,
        next_attempt_at_ms=None,
        finished_at_ms=telling.at_ms,
        reason=telling.ending.reason,
    )
