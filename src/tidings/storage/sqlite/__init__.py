"""The store on SQLite: one file, one writing thread, a few reading ones."""

from tidings.storage.faults import DatabaseInUse, DatabaseTooNew
from tidings.storage.sqlite.store import open_store

__all__ = ["DatabaseInUse", "DatabaseTooNew", "open_store"]
