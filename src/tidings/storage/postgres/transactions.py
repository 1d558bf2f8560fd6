"""Transactions in PostgreSQL: many processes write, and one row gives all of them one order.

Whoever publishes or changes the configuration locks the row of `configuration` first. Under this
lock `seq` is drawn and what others have changed meanwhile is read, so that the order of `seq` is
the order of commits, and every event meets the subscriptions that were there before it. Results
take no part in that: they lock nothing but their own rows, and the session of their owner.

What others must hear of is logged under the same lock: changes of the configuration by their
version, and rows of the queue that somebody else than their owner has changed.
"""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Final

from tidings.core.identifier import id_made_at_ms, seq_drawn_at_ms
from tidings.core.ownership import shard_of
from tidings.core.routing import Routing
from tidings.ports.store import Committed, SessionLost, StoreUnavailable
from tidings.storage.faults import NoPartition, TryAgain
from tidings.storage.postgres.changes import Kind, OwnCommits, changed_subscriptions
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.partitions import make_partitions
from tidings.storage.sealing import Sealer
from tidings.storage.sql.backlog import Backlog
from tidings.storage.sql.configuration import load_routing
from tidings.storage.sql.database import fetch_one
from tidings.storage.sql.lifecycle import Lifecycle
from tidings.storage.sql.transaction import (
    OrderNeeded,
    Seconds,
    Transaction,
    Transactions,
    Unordered,
    Write,
    Written,
)

_TRIES: Final = 3
_ORDER: Final = "SELECT version, last_seq FROM configuration WHERE id = 1 FOR UPDATE"
_FENCE: Final = "SELECT 1 FROM worker WHERE session = ? FOR KEY SHARE"
_PARTITION_KEY: Final = re.compile(r"\) = \(([^)]+)\)")


class PostgresTransaction(Transaction):
    """What a write works with.

    Once `must_fence`, the owner of rows writes only as long as `session` is there.
    """

    __slots__ = ("_is_fenced", "_routing", "is_ordered", "must_fence", "session")

    def __init__(self, db: PostgresConnection, seconds: Seconds) -> None:
        self.session: str | None = None
        self.must_fence = False
        self.begin(is_ordered=True)
        super().__init__(db, Routing(), 0, Backlog(db, seconds=seconds))

    def begin(self, *, is_ordered: bool) -> None:
        """Begin anew, with the lock of all order or without."""
        self.is_ordered = is_ordered
        self._is_fenced = False

    @property
    def is_of_owner(self) -> bool:
        """Whether the owner of the rows is at work, who needs not be told."""
        return self._is_fenced

    @property
    def routing(self) -> Routing:
        """The subscriptions that take events, as they are now. Needs the order."""
        self._need_order()
        return self._routing

    @routing.setter
    def routing(self, routing: Routing) -> None:
        self._routing = routing

    def next_seq(self, now_ms: int) -> int:
        """See `Transaction`. Needs the order."""
        self._need_order()
        return super().next_seq(now_ms)

    def fence(self) -> None:
        """See `Transaction`. The session cannot go before this transaction has ended."""
        if not self.must_fence or self._is_fenced:
            return
        if self.session is None or fetch_one(self.db, _FENCE, (self.session,)) is None:
            raise SessionLost("the session of this worker is gone")
        self._is_fenced = True

    def _need_order(self) -> None:
        if not self.is_ordered:
            raise OrderNeeded


class PostgresTransactions(Transactions):
    """Runs writes on one connection of this process; others have theirs."""

    _tx: PostgresTransaction

    def __init__(
        self,
        db: PostgresConnection,
        sealer: Sealer,
        lifecycle: Lifecycle,
        *,
        own: OwnCommits,
        seconds: Seconds = time.perf_counter,  # noqa: TID251 - it bounds waits, no more
    ) -> None:
        super().__init__(
            PostgresTransaction(db, seconds),
            lambda: load_routing(db, sealer),
            lifecycle.tell,
            seconds=seconds,
        )
        self._connection = db
        self._sealer = sealer
        self._own = own
        self._routing_is_stale = True
        self._known_version = 0
        self._version = 0
        self._stored = (0, 0)
        self._must_order = False

    def use_session(self, session: str | None) -> None:
        """Fence what the owner writes by this session; without one it writes nothing."""
        self._tx.session = session
        self._tx.must_fence = True

    def run(self, writes: Sequence[Write]) -> list[Written]:
        """See `Transactions`. What lost against another transaction is tried anew."""
        self._must_order = False
        for _ in range(_TRIES):
            try:
                outcomes = super().run(writes)
            except OrderNeeded:
                self._must_order = True
                continue
            fault = outcomes[0].fault
            if isinstance(fault, NoPartition):
                self._make_room(fault)
            elif not isinstance(fault, TryAgain):
                return outcomes
        return [Written(fault=StoreUnavailable("other transactions came first, three times"))]

    def _begin(self, writes: Sequence[Write]) -> None:
        tx = self._tx
        is_ordered = self._must_order or not all(isinstance(one, Unordered) for one in writes)
        if is_ordered and self._routing_is_stale:
            self._load_routing_apart()
        self._connection.begin()
        tx.begin(is_ordered=is_ordered)
        if is_ordered:
            version, tx.last_seq = fetch_one(tx.db, _ORDER)
            self._version = version
            self._stored = (version, tx.last_seq)
            self._catch_up(version)

    def _commit(self) -> None:
        tx = self._tx
        if tx.is_ordered and self._stored != (self._version, tx.last_seq):
            tx.db.execute(
                "UPDATE configuration SET version = ?, last_seq = ? WHERE id = 1",
                (self._version, tx.last_seq),
            )
        # Put down before they stand, so that nobody tells of them as if they were another's.
        made = range(self._stored[0] + 1, self._version + 1) if tx.is_ordered else range(0)
        before, self._own.last_seq = self._own.last_seq, tx.last_seq
        self._own.versions.update(made)
        try:
            self._connection.commit()
        except BaseException:
            self._own.versions.difference_update(made)
            self._own.last_seq = before
            raise
        if tx.is_ordered:
            self._known_version = self._version

    def _roll_back(self) -> None:
        self._connection.rollback()

    def _log(self, tx: Transaction, changes: Committed) -> None:
        rows = [(kind, *of) for kind, *of in _configuration_changes(changes)]
        if rows:
            self._tx._need_order()  # noqa: SLF001 - a version is drawn like a `seq`
            first = self._version + 1
            self._version += len(rows)
            tx.db.execute_many(
                "INSERT INTO configuration_change (version, kind, tenant_id, object_id)",
                [(version, *row) for version, row in enumerate(rows, start=first)],
                types="ittt",
            )
        if not self._tx.is_of_owner:
            self._log_rows(tx, changes)

    def _log_rows(self, tx: Transaction, changes: Committed) -> None:
        """Let the owners know of rows that were ended, unparked or asked for by hand."""
        asked = [row for row in changes.arrived if row.seq <= self._stored[1]]
        rows = [
            (
                tx.next_seq(0),
                shard_of(row.subscription_id),
                row.subscription_id,
                row.seq,
                row.ordering_key,
            )
            for row in (*changes.ended, *changes.unparked, *asked)
        ]
        tx.db.execute_many("INSERT INTO row_change", rows, types="iitit")

    def _load_routing_apart(self) -> None:
        """Load all subscriptions, which may take long, before anybody has to wait for it."""
        self._connection.begin("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        try:
            sql = "SELECT version FROM configuration WHERE id = 1"
            (self._known_version,) = fetch_one(self._tx.db, sql)
            self._refresh_routing()
        finally:
            self._connection.rollback()

    def _catch_up(self, version: int) -> None:
        """Take in what others have changed, so that what follows is judged by what holds."""
        tx = self._tx
        if version != self._known_version:
            # One may have been erased, of which nothing tells but the version.
            tx.known_tenants.clear()
        if not self._routing_is_stale and version != self._known_version:
            changed = changed_subscriptions(tx.db, self._sealer, self._known_version)
            if changed is None:
                self._routing_is_stale = True
            else:
                for subscription_id, record in changed.items():
                    if record is None:
                        tx.routing.discard(subscription_id)
                    else:
                        tx.routing.put(record.subscription)
        self._refresh_routing()
        self._known_version = version

    def _make_room(self, fault: NoPartition) -> None:
        """Make the partitions that a row of another time needs."""
        key = _PARTITION_KEY.search(str(fault))
        assert key is not None, "the server names the key that it has no partition for"
        at_ms = id_made_at_ms(key[1]) if key[1].startswith("dlv_") else seq_drawn_at_ms(int(key[1]))
        make_partitions(self._connection, since_ms=at_ms, until_ms=at_ms)

    def _close(self) -> None:
        self._connection.close()


def _configuration_changes(changes: Committed) -> Iterator[tuple[Kind, str | None, str | None]]:
    for subscription in changes.subscriptions:
        yield Kind.SUBSCRIPTION, subscription.tenant_id, subscription.subscription_id
    for key in changes.keys:
        yield Kind.KEY, key.tenant_id, key.key_id
    for key_id in changes.revoked_key_ids:
        yield Kind.KEY, None, key_id
    for one in changes.event_types:
        yield Kind.EVENT_TYPE, one.tenant_id, one.event_type
    for tenant_id, event_type in changes.forgotten_event_types:
        yield Kind.EVENT_TYPE, tenant_id, event_type
    for replay in changes.replays:
        if not replay.done and not replay.cursor and replay.finished_at_ms is None:
            yield Kind.REPLAY, replay.scope.tenant_id, replay.replay_id
    if changes.has_erased:
        yield Kind.ERASURE, None, None
