"""How writes and reads get to the database: on threads in a server, in virtual time elsewhere.

The store knows the two classes here. What is common to every writer stands here as well: who hears
of a commit, and in which order.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from tidings.ports.store import Committed, StoreUnavailable
from tidings.storage.sql.database import Database
from tidings.storage.sql.transaction import Transaction, Write, Written

T = TypeVar("T")
Read = Callable[[Database], T]
"""A read, as a function of a connection on which one snapshot is seen."""


class SingleStatement(Generic[T]):
    """A read of one statement, which sees one snapshot by itself."""

    __slots__ = ("_read",)

    def __init__(self, read: Read[T]) -> None:
        self._read = read

    def __call__(self, db: Database) -> T:
        return self._read(db)


Waiting = tuple[Write, asyncio.Future[Any]]
"""A write, and the future that its caller awaits."""

_LOG = logging.getLogger(__name__)


class Writer(ABC):
    """Runs writes in the order in which they were asked for, as many as wait in one transaction.

    What a commit changed is told to the listeners on the event loop in the order of commits, and
    before the futures of its writes are done.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners: list[Callable[[Committed], None]] = []
        self._is_closed = False

    def on_commit(self, listener: Callable[[Committed], None]) -> None:
        """Tell a listener about every commit from here on."""
        self._listeners.append(listener)

    async def run(self, write: Callable[[Transaction], T]) -> T:
        """Run a write and answer its value once it is durable; raises what it raised."""
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        answer: asyncio.Future[T] = self._loop.create_future()
        self._take((write, answer))
        return await answer

    async def close(self) -> None:
        """Finish the writes that wait, then let go of the database."""
        if not self._is_closed:
            self._is_closed = True
            await self._finish_all()

    @abstractmethod
    def _take(self, waiting: Waiting) -> None:
        """Have a write run; then `_answer` is to be called on the event loop."""

    @abstractmethod
    async def _finish_all(self) -> None:
        """Wait until all that was taken is answered, and close the connection."""

    def _answer(self, done: Sequence[Waiting], outcomes: Sequence[Written]) -> None:
        """On the event loop: tell what was committed, then answer those who asked."""
        for outcome in outcomes:
            if outcome.changes is not None:
                self.tell(outcome.changes)
        for (_, answer), outcome in zip(done, outcomes, strict=True):
            if answer.cancelled():
                continue
            if outcome.fault is not None:
                answer.set_exception(outcome.fault)
            else:
                answer.set_result(outcome.value)

    def tell(self, changes: Committed) -> None:
        """Tell the listeners of a commit, of this process or of another."""
        for listener in self._listeners:
            try:
                listener(changes)
            except Exception:  # noqa: BLE001 - the commit stands, and others wait to hear of it
                _LOG.exception("a listener failed on a commit; please report this")


class Readers(Protocol):
    """Run reads, each in a transaction of its own that sees one snapshot."""

    async def run(self, read: Read[T]) -> T:
        """Run a read and answer its value; raises what it raised."""
        ...

    def close(self) -> None:
        """Wait for the reads under way and let go of the database."""
        ...
