"""The store on SQLite: one file, one writing thread, a few reading ones."""

from tidings.storage.faults import DatabaseTooNew
from tidings.storage.sqlite.connection import DatabaseInUse
from tidings.storage.sqlite.store import open_store

__all__ = ["DatabaseInUse", "DatabaseTooNew", "open_store"]
