"""How a database can fail us, whichever it is, where `StoreUnavailable` alone says too little."""

from tidings.ports.store import StoreUnavailable


class DatabaseTooNew(Exception):
    """A newer version of the program has changed this database."""


class DatabaseUnfit(Exception):
    """Tidings cannot work on this database, whatever is tried; the text says what to change."""


class TryAgain(StoreUnavailable):
    """The transaction lost against another one and is undone; run anew, it may well succeed."""


class CommitUnknown(StoreUnavailable):
    """The connection was lost while a transaction was committed: it may stand, or not."""


class NoPartition(StoreUnavailable):
    """A row is of a day for which the log has no partition; it is to be made, then tried again."""
