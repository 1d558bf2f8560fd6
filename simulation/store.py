"""The writer and the readers of the real SQLite store, in virtual time.

Writes wait, run together in one transaction of the production code, and are answered later, as with
the threads of a server; reads see the database at one moment and are answered at another.
"""

import asyncio
from typing import TypeVar

import apsw

from simulation import facts
from simulation.database import WitnessedDatabase
from simulation.faults import CommitFault, StoreFaults
from simulation.journal import Journal
from tidings.core import limits
from tidings.ports.store import StoreUnavailable
from tidings.storage.sql.access import Read, Waiting, Writer
from tidings.storage.sql.database import Database
from tidings.storage.sql.transaction import Transactions, Write, Written
from tidings.storage.sqlite.connection import our_words

T = TypeVar("T")
_ERRORS = {
    CommitFault.FULL: (apsw.FullError, "database or disk is full"),
    CommitFault.BROKEN: (apsw.IOError, "disk I/O error"),
    CommitFault.BUSY: (apsw.BusyError, "database is locked"),
    CommitFault.UNKNOWN: (apsw.IOError, "disk I/O error"),
}


class Limbo:
    """Writes whose commit failed, and which the disk may hold all the same.

    SQLite undoes such a transaction, but its pages may have reached the log; if the process dies
    before anything is written over them, they are found there at the next start.
    """

    def __init__(self) -> None:
        self._writes: list[Write] = []

    def put(self, writes: list[Write]) -> None:
        """Let writes be in limbo until the next commit."""
        self._writes = writes

    def forget(self) -> None:
        """Something else was committed over them."""
        self._writes = []

    def come_true(self, transactions: Transactions) -> bool:
        """After a crash: what was in limbo is found committed. Answers whether anything was."""
        writes, self._writes = self._writes, []
        done = 0
        while done < len(writes):
            done += len(transactions.run(writes[done:]))
        return bool(writes)


class VirtualWriter(Writer):
    """Runs what waits after a while, and answers after another."""

    def __init__(
        self,
        transactions: Transactions,
        database: WitnessedDatabase,
        faults: StoreFaults,
        journal: Journal,
        limbo: Limbo,
    ) -> None:
        super().__init__()
        self._transactions = transactions
        self._database = database
        self._faults = faults
        self._journal = journal
        self._limbo = limbo
        self._waiting: list[Waiting] = []
        self._is_busy = False
        self._answers_until = 0.0
        self._unanswered = 0
        self._at_rest: asyncio.Future[None] | None = None

    @property
    def waiting(self) -> int:
        """How many writes are not answered yet."""
        return len(self._waiting) + self._unanswered

    def _take(self, waiting: Waiting) -> None:
        self._waiting.append(waiting)
        self._begin()

    async def _finish_all(self) -> None:
        if self.waiting:
            self._at_rest = self._loop.create_future()
            await self._at_rest

    def _begin(self) -> None:
        if self._waiting and not self._is_busy:
            self._is_busy = True
            self._loop.call_later(self._faults.commit_seconds(), self._commit)

    def _commit(self) -> None:
        fault = self._faults.next_commit()
        if fault is CommitFault.CRASH_BEFORE:
            self._faults.crash("crash_before_commit")
            return
        writes = [write for write, _ in self._waiting[: limits.WRITES_WAITING_MAX]]
        if fault in _ERRORS:
            # Each time a new one: an exception keeps alive whatever it has passed through.
            kind, words = _ERRORS[fault]
            self._database.fail_after(self._faults.statements(fault), kind(words))
        try:
            outcomes = self._transactions.run(writes)
        except Exception as bug:  # noqa: BLE001 - as the thread does
            outcomes = [Written(fault=bug) for _ in writes]
        self._limbo.forget()
        if fault is CommitFault.UNKNOWN:
            self._limbo.put(writes[: len(outcomes)])
        if fault is CommitFault.CRASH_AFTER:
            self._faults.crash("crash_after_commit")
            return
        done, self._waiting = self._waiting[: len(outcomes)], self._waiting[len(outcomes) :]
        self._unanswered += len(done)
        now = self._loop.time()
        self._answers_until = max(self._answers_until, now + self._faults.answer_seconds())
        number = self._database.commits
        self._loop.call_at(self._answers_until, self._tell_and_answer, done, outcomes, number)
        self._is_busy = False
        self._begin()

    def _tell_and_answer(self, done: list[Waiting], outcomes: list[Written], number: int) -> None:
        self._unanswered -= len(done)
        self._answer(done, outcomes)
        self._journal.tell(facts.CommitTold(number))
        if self._at_rest is not None and not self.waiting:
            self._at_rest.set_result(None)
            self._at_rest = None


class VirtualReaders:
    """Sees the database at a moment after the question, and answers after that."""

    def __init__(self, database: Database, faults: StoreFaults) -> None:
        self._database = database
        self._faults = faults
        self._is_closed = False

    async def run(self, read: Read[T]) -> T:
        """See `Readers`."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        before, after, fails = self._faults.next_read()
        if before:
            await asyncio.sleep(before)
        if fails:
            raise StoreUnavailable("disk I/O error")
        with our_words():
            answer = read(self._database)
        if after:
            await asyncio.sleep(after)
        return answer

    def close(self) -> None:
        """See `Readers`."""
        self._is_closed = True
