"""One connection to PostgreSQL on which the shared statements run, for use from one thread.

The driver is asynchronous; the statements are not, because they also serve SQLite. So each
connection has an event loop of its own that runs only while its thread waits for an answer.

What bounds a wait: the server gives up a statement, and a lock that is not to be had; it ends a
session that is idle within a transaction, so that a stopped process holds no lock for long. When
even the server does not answer, the connection is cut. A COMMIT is never cancelled: the server may
wait for a standby then, and would call the transaction durable when it is not yet.
"""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import asyncpg
import uvloop

from tidings.core import limits
from tidings.ports.store import StoreUnavailable
from tidings.storage.faults import CommitUnknown, TryAgain
from tidings.storage.postgres.address import postgres_address
from tidings.storage.postgres.faults import FAULTS, READS_ONLY, in_our_words, state_of
from tidings.storage.postgres.translation import over_rows, storable, translated

T = TypeVar("T")

STATEMENTS_CACHED: Final = 300
CLOSE_SECONDS: Final = 2.0
APPLICATION: Final = "tidings"
_LOST: Final = "the connection was lost within the transaction"
_WITHIN_TRANSACTIONS: Final = ("SAVEPOINT", "ROLLBACK TO", "RELEASE")


class Answered:
    """The rows that a statement answered."""

    __slots__ = ("_rows",)

    def __init__(self, rows: list[Any]) -> None:
        self._rows = iter(rows)

    def __iter__(self) -> Iterator[Any]:
        return self._rows

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return list(self._rows)

    def fetchone(self) -> Any:
        """The next row, or None."""
        return next(self._rows, None)


class PostgresConnection:
    """A connection that is made when it is first needed, and made anew when it was lost.

    Whatever the world does raises `StoreUnavailable`: `TryAgain` when another transaction won,
    `CommitUnknown` when nobody can say whether a commit took effect. A bug raises the driver's own
    error. Within a transaction a lost connection is never replaced: all that is left is to roll
    back.

    `statement_ms` bounds a statement, `lock_ms` a wait for a lock, `idle_ms` the time between two
    statements of a transaction, and `commit_ms` the wait for a COMMIT.
    """

    def __init__(
        self,
        url: str,
        *,
        statement_ms: int = limits.STATEMENT_MS,
        lock_ms: int = limits.BUSY_TIMEOUT_MS,
        idle_ms: int = limits.IDLE_IN_TRANSACTION_MS,
        commit_ms: int = limits.COMMIT_SILENT_MS,
    ) -> None:
        self._address = postgres_address(url)
        self._settings = {
            "idle_in_transaction_session_timeout": str(idle_ms),
            "jit": "off",
            "lock_timeout": str(lock_ms),
            "statement_timeout": str(statement_ms),
        }
        self._seconds = (statement_ms + limits.SERVER_SILENT_MS) / 1_000
        self._commit_seconds = commit_ms / 1_000
        self._loop = uvloop.new_event_loop()
        self._connection: Any = None
        self._is_begun = False
        self._reads_alone = False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction was begun and neither committed nor rolled back."""
        return self._is_begun

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, as far as is known without asking."""
        return self._connection is not None and not self._connection.is_closed()

    # Statements.

    def execute(self, sql: str, bindings: Sequence[Any] = ()) -> Answered:
        """Run one of the shared statements; outside a transaction in one of its own."""
        if sql.startswith(_WITHIN_TRANSACTIONS):
            assert self._is_begun, f"{sql} stands outside a transaction"
            self.run_script(sql)
            return Answered([])
        return Answered(self._fetch(*translated(sql).bound(bindings)))

    def execute_many(
        self, before: str, rows: Sequence[Sequence[Any]], after: str = "", *, types: str
    ) -> list[Any]:
        """Run ``before VALUES (…),(…) after`` over all rows as one statement; answers its rows.

        `types` names the type of each column by a letter, as `Database.execute_many` says.
        """
        if not rows:
            return []
        columns = [[storable(value) for value in column] for column in zip(*rows, strict=True)]
        assert len(columns) == len(types), f"{len(types)} columns wanted, {len(columns)} given"
        return self._fetch(over_rows(before, after, types), columns)

    def delete_many(
        self, table: str, key: str, rows: Sequence[Sequence[Any]], *, types: str
    ) -> list[Any]:
        """See `Database.delete_many`."""
        before = f"DELETE FROM {table} WHERE ({key}) IN ("
        return self.execute_many(before, rows, f") RETURNING {key}", types=types)

    @contextmanager
    def reading_alone(self) -> Iterator[None]:
        """Let statements that only read run without a transaction around each of them."""
        self._reads_alone = True
        try:
            yield
        finally:
            self._reads_alone = False

    def run_script(self, sql: str, *, seconds: float | None = None) -> None:
        """Run statements in PostgreSQL's own words, without values; cancelled after `seconds`.

        Outside a transaction one statement runs by itself, as some must, and several run in one
        transaction; whether they took effect is not known when the connection is lost meanwhile.
        """

        async def run(connection: Any) -> None:
            await connection.execute(sql, timeout=seconds)

        cut_after = self._seconds
        if seconds is not None:
            cut_after = seconds + limits.SERVER_SILENT_MS / 1_000
        self._run(run, cut_after)

    # Transactions.

    def begin(self, sql: str = "BEGIN") -> None:
        """Begin a transaction; `sql` may make settings for it: ``BEGIN; SET LOCAL …``."""
        assert not self._is_begun, "a transaction is under way"
        if self._address.has_pooler:
            settings = self._settings.items()
            first, *rest = sql.split(";", 1)
            made = [f"SET LOCAL {name} = {value}" for name, value in settings]
            sql = ";".join([first, *made, *rest])
        was_connected = self.is_connected
        try:
            self._begin(sql)
        except StoreUnavailable:
            # A connection that was lost while nobody looked is found to be lost only here.
            if not was_connected or self.is_connected:
                raise
            self._begin(sql)

    def commit(self) -> None:
        """Commit. Raises `CommitUnknown` when nobody can say whether it took effect."""
        assert self._is_begun, "no transaction is under way"
        if not self.is_connected:
            raise StoreUnavailable(_LOST)

        async def run(connection: Any) -> None:
            status = await connection.execute("SET LOCAL statement_timeout = 0; COMMIT")
            assert status == "COMMIT", f"the server says {status}"

        try:
            self._run(run, self._commit_seconds)
        except TryAgain:
            raise
        except StoreUnavailable as fault:
            raise CommitUnknown(str(fault)) from fault
        self._is_begun = False

    def rollback(self) -> None:
        """Undo the transaction if there is one. Where that fails, the server does it by itself."""
        if not self._is_begun:
            return
        try:
            if self.is_connected:
                self.run_script("ROLLBACK")
        except StoreUnavailable:
            self._cut()
        finally:
            self._is_begun = False

    def close(self) -> None:
        """Let go of the connection, which undoes a transaction under way."""
        if self._loop.is_closed():
            return
        if self.is_connected:
            try:
                self._loop.run_until_complete(self._connection.close(timeout=CLOSE_SECONDS))
            except FAULTS:
                self._cut()
        self._is_begun = False
        self._connection = None
        self._loop.close()

    def _begin(self, sql: str) -> None:
        self._connected()
        self._is_begun = True
        try:
            self.run_script(sql)
        except BaseException:
            self.rollback()
            raise

    def _fetch(self, sql: str, values: Sequence[Any]) -> list[Any]:
        async def fetch(connection: Any) -> list[Any]:
            rows: list[Any] = await connection.fetch(sql, *values)
            return rows

        if self._is_begun:
            return self._run(fetch, self._seconds)
        if self._reads_alone and not self._address.has_pooler:
            return self._read_alone(fetch)
        self.begin()
        try:
            rows = self._run(fetch, self._seconds)
            self.commit()
        finally:
            self.rollback()
        return rows

    def _read_alone(self, fetch: Callable[[Any], Coroutine[Any, Any, list[Any]]]) -> list[Any]:
        was_connected = self.is_connected
        try:
            return self._run(fetch, self._seconds)
        except StoreUnavailable:
            # As in `begin`: it may have been lost while nobody looked.
            if not was_connected or self.is_connected:
                raise
            return self._run(fetch, self._seconds)

    def _run(self, statement: Callable[[Any], Coroutine[Any, Any, T]], seconds: float) -> T:
        """Have the driver do something, and cut the connection if that takes longer."""
        connection = self._connected()
        deadline = self._loop.call_later(seconds, connection.terminate)
        try:
            return self._loop.run_until_complete(statement(connection))
        except FAULTS as fault:
            if state_of(fault) == READS_ONLY:
                # It is a standby by now; the next connection looks for the primary.
                self._cut()
            ours = in_our_words(fault, is_connected=self.is_connected)
            if ours is None:
                raise
            raise ours from fault
        finally:
            deadline.cancel()

    def _connected(self) -> Any:
        """The connection, made now if there is none. Raises `StoreUnavailable`."""
        if not self.is_connected:
            if self._is_begun:
                raise StoreUnavailable(_LOST)
            try:
                self._connection = self._loop.run_until_complete(self._connect())
            except FAULTS as fault:
                self._connection = None
                text = str(fault) or "no answer in time"
                raise StoreUnavailable(f"the database cannot be reached: {text}") from fault
        return self._connection

    async def _connect(self) -> Any:
        settings = {"application_name": APPLICATION}
        if not self._address.has_pooler:
            settings |= self._settings
        return await asyncpg.connect(
            self._address.dsn,
            timeout=min(self._address.connect_seconds, self._seconds),
            statement_cache_size=0 if self._address.has_pooler else STATEMENTS_CACHED,
            max_cached_statement_lifetime=0,
            server_settings={
                name: value
                for name, value in settings.items()
                if name not in self._address.given_settings
            },
        )

    def _cut(self) -> None:
        """Drop the connection without a word to the server."""
        if self._connection is not None:
            self._connection.terminate()
