"""What a database URL says: where PostgreSQL is, and whether a pooler stands before it.

The URL is that of libpq, `postgresql://user:password@host:port/database?sslmode=verify-full`, with
several hosts separated by commas where a standby may take over. Two members of its query are ours:

- `pooler=transaction` says that a pooler such as PgBouncer stands before the server, which gives a
  connection out for one transaction at a time. Nothing may then be kept on it: settings are made
  anew in each transaction, and no statement stays prepared.
- `connect_timeout` is how many seconds a new connection may take.
"""

from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

SCHEMES: Final = ("postgresql", "postgres")
CONNECT_SECONDS: Final = 5.0
_OF_LIBPQ_ALONE: Final = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "sslcompression",
        "sslsni",
        "tcp_user_timeout",
    }
)
"""Members that the driver would take for settings of the server, which refuses them."""
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl")


class PostgresAddress(msgspec.Struct, frozen=True):
    """A database URL, taken apart."""

    dsn: str
    given_settings: frozenset[str]
    """Settings of the session that the URL makes, so that we do not."""
    has_pooler: bool = False
    connect_seconds: float = CONNECT_SECONDS


def postgres_address(url: str) -> PostgresAddress:
    """Take a database URL apart. Raises `ValueError`, without what may be secret in the URL."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError("a PostgreSQL URL begins with postgresql://")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    pooler = query.pop("pooler", None)
    if pooler not in (None, "transaction"):
        raise ValueError("pooler=transaction is the only value that pooler may have")
    try:
        connect_seconds = float(query.pop("connect_timeout", CONNECT_SECONDS))
    except ValueError:
        raise ValueError("connect_timeout is a number of seconds") from None
    if not 0 < connect_seconds <= CONNECT_SECONDS * 12:
        raise ValueError(f"connect_timeout is at most {CONNECT_SECONDS * 12:g} seconds")
    for name in _FILES:
        path = query.get(name)
        if path and not Path(path).is_file():
            raise ValueError(f"{name} names a file that is not there: {path}")
    if pooler is None:
        # After a failover nobody must stay with a server that only reads.
        query.setdefault("target_session_attrs", "read-write")
    kept = {name: value for name, value in query.items() if name not in _OF_LIBPQ_ALONE}
    dsn = urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote)))
    return PostgresAddress(dsn, frozenset(kept), pooler is not None, connect_seconds)


def shown_url(url: str) -> str:
    """A database URL as people may see it: without password and query."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    shown = parts._replace(netloc=user.partition(":")[0] + at + hosts, query="", fragment="")
    return urlunsplit(shown)
