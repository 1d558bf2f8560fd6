"""Transactions in SQLite: one writer, so that the order of its commits is the order of all."""

import time
from collections.abc import Sequence
from typing import cast

from tidings.ports.store import Committed
from tidings.storage.sealing import Sealer
from tidings.storage.sql.configuration import load_routing
from tidings.storage.sql.database import Database
from tidings.storage.sql.lifecycle import Lifecycle
from tidings.storage.sql.transaction import Seconds, Transaction, Transactions, Write
from tidings.storage.sqlite.connection import UNAVAILABLE
from tidings.storage.sqlite.statements import SqliteConnection


class SqliteTransactions(Transactions):
    """Runs writes on the one connection that writes."""

    unavailable = (*Transactions.unavailable, *UNAVAILABLE)
    passed_on = (*Transactions.passed_on, *UNAVAILABLE)

    def __init__(
        self,
        db: SqliteConnection,
        sealer: Sealer,
        lifecycle: Lifecycle,
        *,
        seconds: Seconds = time.perf_counter,  # noqa: TID251 - it bounds a wait, no more
    ) -> None:
        self._connection = db
        shared = cast("Database", db)
        (last_seq,) = shared.execute("SELECT last_seq FROM configuration WHERE id = 1").fetchone()
        self._stored_seq: int = last_seq
        super().__init__(
            Transaction(shared, load_routing(shared, sealer), last_seq),
            lambda: load_routing(shared, sealer),
            lifecycle.tell,
            seconds=seconds,
        )

    def _begin(self, writes: Sequence[Write]) -> None:  # noqa: ARG002 - every write is in order
        self._connection.execute("BEGIN IMMEDIATE")
        self._stored_seq = self._tx.last_seq
        self._refresh_routing()

    def _commit(self) -> None:
        if self._tx.last_seq != self._stored_seq:
            self._connection.execute(
                "UPDATE configuration SET last_seq = ? WHERE id = 1", (self._tx.last_seq,)
            )
        self._connection.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _log(self, tx: Transaction, changes: Committed) -> None:
        if changes.has_configuration:
            tx.db.execute("UPDATE configuration SET version = version + 1 WHERE id = 1")

    def _close(self) -> None:
        self._connection.close()
