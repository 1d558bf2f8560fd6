"""What keeps a server from starting."""

from tidings.ports.store import StoreUnavailable
from tidings.storage.faults import DatabaseTooNew, DatabaseUnfit
from tidings.storage.sql.store import WrongKey
from tidings.storage.sqlite import DatabaseInUse


class CannotStart(Exception):
    """The server cannot start; the text says why, and what to do."""


FAULTS_AT_START = (
    CannotStart,
    DatabaseInUse,
    DatabaseTooNew,
    DatabaseUnfit,
    OSError,
    StoreUnavailable,
    WrongKey,
)
