"""The store on PostgreSQL, where several processes share one database."""
