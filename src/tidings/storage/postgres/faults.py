"""What the errors of PostgreSQL and of its driver mean: the world failing, or a bug."""

from typing import Final

import asyncpg

from tidings.ports.store import StoreUnavailable
from tidings.storage.faults import NoPartition, TryAgain

FAULTS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

LOST_AGAINST_OTHERS: Final = frozenset({"40001", "40P01"})
_UNAVAILABLE_CLASSES: Final = (
    "08",  # connection
    "28",  # who may log in
    "40",  # rolled back by the server
    "53",  # out of disk, of memory, of connections
    "57",  # shut down, not started yet, cancelled
    "58",  # the system beneath it
    "F0",  # its configuration file
    "XX",  # what it has stored is damaged
)
_UNAVAILABLE: Final = frozenset(
    {
        "25006",  # read only: a standby, or a primary on its way to become one
        "25P03",  # we were stopped within a transaction for too long
        "25P04",
        "3D000",  # no such database
        "42501",  # no such privilege
        "55P03",  # a lock was not to be had in time
    }
)
READS_ONLY: Final = "25006"
_UNPREPARED: Final = frozenset({"26000", "42P05"})


def in_our_words(fault: Exception, *, is_connected: bool) -> Exception | None:
    """The fault as our program knows it, or None when it is a bug.

    The driver says in several ways that it has lost its connection: whatever it says without one
    means that.
    """
    if isinstance(fault, asyncpg.InvalidCachedStatementError):
        return TryAgain(str(fault))
    if isinstance(fault, asyncpg.PostgresError):
        return _by_state(fault)
    if isinstance(fault, asyncpg.ClientConfigurationError):
        return StoreUnavailable(str(fault))
    if not is_connected or not isinstance(
        fault, asyncpg.InterfaceError | asyncpg.InternalClientError
    ):
        return StoreUnavailable(str(fault) or type(fault).__name__)
    return None


def state_of(fault: BaseException | None) -> str | None:
    """The five characters by which the server names its error, if it was the server's."""
    return fault.sqlstate if isinstance(fault, asyncpg.PostgresError) else None


def _by_state(fault: asyncpg.PostgresError) -> Exception | None:
    state = fault.sqlstate or ""
    if isinstance(fault, asyncpg.CheckViolationError) and fault.constraint_name is None:
        return NoPartition(str(fault))
    if state in LOST_AGAINST_OTHERS:
        return TryAgain(str(fault))
    if state in _UNPREPARED:
        return StoreUnavailable(
            f"{fault}; if a pooler stands before the database, its URL must say pooler=transaction"
        )
    if state in _UNAVAILABLE or state.startswith(_UNAVAILABLE_CLASSES):
        return StoreUnavailable(str(fault))
    return None
