"""Copying a whole installation from SQLite to PostgreSQL."""

from tidings.storage.copying.checking import CheckedTable, Tally
from tidings.storage.copying.copying import copy

__all__ = ["CheckedTable", "Tally", "copy"]
