"""One transaction, shared by everything that waits for the writer: the group commit.

Each write is a function of the transaction and stands or falls by itself; one commit, and so one
flush to the disk, makes them all durable.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tidings.core import limits
from tidings.core.audit import AuditRecord
from tidings.core.catalogue import CataloguedType
from tidings.core.content_filter import FilterOutcome
from tidings.core.delivery import Delivery, Ending
from tidings.core.identifier import next_seq
from tidings.core.lifecycle import LifecycleType
from tidings.core.routing import Routing
from tidings.core.subscription import Subscription
from tidings.ports.records import ApiKey, Replay, StoredBody, SubscriptionRecord
from tidings.ports.store import Committed, Recorded, Result, StoreUnavailable
from tidings.storage.sql.backlog import Backlog
from tidings.storage.sql.database import Database


class Telling(msgspec.Struct, frozen=True):
    """What a lifecycle event is to tell, as a write notes it; the event follows at its end.

    Without `record` the subscription is told of as it stands. `ended` are dead letters that came
    about together, all by `ending`.
    """

    type: LifecycleType
    subscription_id: str
    at_ms: int
    record: SubscriptionRecord | None = None
    reason: str | None = None
    dead_lettered: int | None = None
    ended: Sequence[Delivery] = ()
    ending: Ending | None = None


class Transaction:
    """What a write works with: the connection, the order, and a note of what it changes."""

    __slots__ = (
        "arrived",
        "audited",
        "backlog",
        "bodies",
        "db",
        "ended",
        "event_types",
        "filter_outcomes",
        "forgotten_event_types",
        "has_erased",
        "keys",
        "known_tenants",
        "last_seq",
        "newest_event_seq",
        "recorded",
        "replays",
        "revoked_key_ids",
        "routing",
        "subscriptions",
        "tellings",
        "unparked",
    )

    def __init__(
        self, db: Database, routing: Routing, last_seq: int, backlog: Backlog | None = None
    ) -> None:
        self.db = db
        self.routing = routing
        self.backlog = backlog or Backlog(db)
        self.last_seq = last_seq
        self.known_tenants: set[str] = set()
        """Tenants that are on record, so that nobody has to look: some, not all."""
        self.forget()

    def forget(self) -> None:
        """Begin the notes anew."""
        self.subscriptions: list[Subscription] = []
        self.keys: list[ApiKey] = []
        self.revoked_key_ids: list[str] = []
        self.ended: list[Delivery] = []
        self.recorded: list[tuple[Result, Recorded]] = []
        self.unparked: list[Delivery] = []
        self.arrived: list[Delivery] = []
        self.bodies: dict[int, StoredBody] = {}
        self.replays: list[Replay] = []
        self.filter_outcomes: Counter[FilterOutcome] = Counter()
        self.tellings: list[Telling] = []
        self.newest_event_seq = 0
        self.has_erased = False
        self.audited: list[AuditRecord] = []
        self.event_types: list[CataloguedType] = []
        self.forgotten_event_types: list[tuple[str, str]] = []

    def next_seq(self, now_ms: int) -> int:
        """The next number in the order of commits."""
        self.last_seq = next_seq(self.last_seq, now_ms)
        return self.last_seq

    def fence(self) -> None:
        """Go on only as long as the session of this process is there: the rows are its to change.

        Raises `SessionLost`. One process alone needs no fence.
        """

    def notes(self) -> Committed | None:
        """What has changed, for those who keep it in memory; None when nothing has."""
        members = (
            self.subscriptions,
            self.keys,
            self.revoked_key_ids,
            self.ended,
            self.recorded,
            self.unparked,
            self.arrived,
            self.bodies,
            self.replays,
            self.filter_outcomes,
            self.newest_event_seq,
            self.has_erased,
            self.audited,
            self.event_types,
            self.forgotten_event_types,
        )
        return Committed(*members) if any(members) else None


Write = Callable[[Transaction], Any]
Tell = Callable[[Transaction], None]
"""Publishes what a write noted for telling, as a part of that write."""
LoadRouting = Callable[[], Routing]
Seconds = Callable[[], float]


class OrderNeeded(Exception):
    """A write that began as an `Unordered` one must be run anew, in order."""


class Written:
    """What became of one write: its value or its fault, and what it changed."""

    __slots__ = ("changes", "fault", "value")

    def __init__(
        self, value: Any = None, fault: Exception | None = None, changes: Committed | None = None
    ) -> None:
        self.value = value
        self.fault = fault
        self.changes = changes


class Unordered:
    """A write that neither inserts into the queue nor changes the configuration.

    Where many processes share a database, it need not wait for the one lock that gives all others
    their order. One that finds it must after all is run anew, in order.
    """

    __slots__ = ("_write",)

    def __init__(self, write: Write) -> None:
        self._write = write

    def __call__(self, tx: Transaction) -> Any:
        return self._write(tx)


class Transactions(ABC):
    """Runs writes in transactions on one connection. For one thread only.

    `seconds` only bounds how long others wait for the writer.
    """

    unavailable: tuple[type[Exception], ...] = (StoreUnavailable,)
    """What the database raises when it cannot be used."""
    passed_on: tuple[type[Exception], ...] = (*unavailable, OrderNeeded)
    """What is no fault of a write alone: it ends the whole transaction."""

    def __init__(
        self, tx: Transaction, load_routing: LoadRouting, tell: Tell, *, seconds: Seconds
    ) -> None:
        self._tx = tx
        self._db = tx.db
        self._seconds = seconds
        self._load_routing = load_routing
        self._tell = tell
        self._routing_is_stale = False
        self._has_changed_routing = False

    def run(self, writes: Sequence[Write]) -> list[Written]:
        """Run writes in one transaction, at least one; answers for as many as found room in it.

        When the commit fails all of them have failed, with `StoreUnavailable`.
        """
        began = self._seconds()
        outcomes: list[Written] = []
        self._has_changed_routing = False
        try:
            self._begin(writes)
            for write in writes:
                outcomes.append(self._run_one(write, writes))
                if (self._seconds() - began) * 1_000 > limits.TRANSACTION_MS_MAX:
                    break
            self._commit()
        except self.unavailable as fault:
            self._undo()
            unavailable = self._unavailable(fault)
            return [Written(fault=unavailable) for _ in outcomes or writes[:1]]
        except BaseException:
            self._undo()
            raise
        return outcomes

    def close(self) -> None:
        """Close the connection."""
        self._close()

    @abstractmethod
    def _begin(self, writes: Sequence[Write]) -> None:
        """Begin a transaction; after it the notes in `_tx` about order and routing are true."""

    @abstractmethod
    def _commit(self) -> None:
        """Store the last number drawn, and commit."""

    @abstractmethod
    def _roll_back(self) -> None:
        """Take the transaction back, if there is one."""

    @abstractmethod
    def _log(self, tx: Transaction, changes: Committed) -> None:
        """Put down what a write has changed, for those who follow."""

    @abstractmethod
    def _close(self) -> None:
        """Close the connection."""

    def _run_one(self, write: Write, writes: Sequence[Write]) -> Written:
        """Run one write within the transaction, and undo it alone if it says no."""
        tx, is_alone = self._tx, len(writes) == 1
        tx.forget()
        if not is_alone:
            self._db.execute("SAVEPOINT one_write")
        try:
            value = write(tx)
            if tx.tellings:
                self._tell(tx)
            changes = tx.notes()
            if changes is not None:
                self._log(tx, changes)
        except self.passed_on:
            raise
        except Exception as fault:  # noqa: BLE001 - it is handed to whoever asked for the write
            tx.backlog.undo()
            tx.known_tenants.clear()
            self._routing_is_stale |= bool(tx.subscriptions)
            self._has_changed_routing |= bool(tx.subscriptions)
            if is_alone:
                self._roll_back()
                self._begin(writes)
            else:
                self._db.execute("ROLLBACK TO one_write")
                self._db.execute("RELEASE one_write")
                self._refresh_routing()
            return Written(fault=fault)
        if not is_alone:
            self._db.execute("RELEASE one_write")
        tx.backlog.keep()
        self._has_changed_routing |= bool(tx.subscriptions)
        return Written(value, changes=changes)

    def _refresh_routing(self) -> None:
        if self._routing_is_stale:
            self._tx.routing = self._load_routing()
            self._routing_is_stale = False

    def _undo(self) -> None:
        # What was not committed may have changed both; the numbers drawn are only skipped.
        self._routing_is_stale |= self._has_changed_routing or bool(self._tx.subscriptions)
        self._tx.backlog.forget()
        self._tx.known_tenants.clear()
        self._roll_back()

    @staticmethod
    def _unavailable(fault: Exception) -> StoreUnavailable:
        if isinstance(fault, StoreUnavailable):
            return fault
        unavailable = StoreUnavailable(str(fault))
        unavailable.__cause__ = fault
        return unavailable
