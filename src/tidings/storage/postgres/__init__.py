"""The store on PostgreSQL, where several processes share one database."""

from tidings.storage.postgres.store import PostgresStore, open_store

__all__ = ["PostgresStore", "open_store"]
