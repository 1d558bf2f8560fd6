"""Databases on real PostgreSQL servers, of every version on this machine, for any test."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from tests.support.postgres_server import (
    GIVEN_URL,
    Databases,
    Installation,
    PostgresServer,
    installations,
)
from tests.support.values import NOW_MS
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.migrate import migrate
from tidings.storage.postgres.partitions import make_partitions_ahead

TEMPLATE = "tidings_template"
SHARED: list[Installation | str] = [GIVEN_URL] if GIVEN_URL else [*installations()]


@pytest.fixture(scope="session", params=installations(), ids=str)
def postgres_installation(request: pytest.FixtureRequest) -> Installation:
    """One version of PostgreSQL after the other, for tests that start servers of their own."""
    found: Installation = request.param
    return found


@pytest.fixture(
    scope="session", params=SHARED, ids=lambda one: "postgres-given" if GIVEN_URL else str(one)
)
def postgres_server(request: pytest.FixtureRequest) -> Databases:
    """A server that many tests share, so they must leave it running. It has a migrated template."""
    return shared_server(request.param)


_OWN: list[PostgresServer] = []


def pytest_sessionfinish() -> None:
    """Stop the servers that were started."""
    shared_server.cache_clear()
    while _OWN:
        _OWN.pop().remove()


@cache
def shared_server(where: Installation | str) -> Databases:
    """A server that many tests share, started when it is first asked for."""
    if isinstance(where, str):
        server = Databases(where)
        server.run(f"DROP DATABASE IF EXISTS {TEMPLATE}")
    else:
        own = PostgresServer(where)
        _OWN.append(own)
        own.make()
        own.start()
        server = own
    make_template(server)
    return server


def make_template(server: Databases) -> None:
    """Make the database that others are copied from: migrated, and empty."""
    server.run(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8'")
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_migrate, server.url(TEMPLATE)).result()


def _migrate(url: str) -> None:
    db = PostgresConnection(url)
    try:
        migrate(db)
        # Most tests live at one moment.
        make_partitions_ahead(db, NOW_MS)
    finally:
        db.close()


@pytest.fixture
def postgres_url(postgres_server: Databases) -> Iterator[str]:
    """A migrated database of its own for a test."""
    with postgres_server.new_database(TEMPLATE) as name:
        yield postgres_server.url(name)


@pytest.fixture
def empty_postgres_url(postgres_server: Databases) -> Iterator[str]:
    """A database without any table for a test."""
    with postgres_server.new_database() as name:
        yield postgres_server.url(name)


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[PostgresConnection]:
    """A connection to a migrated database of its own for a test."""
    db = PostgresConnection(postgres_url)
    yield db
    db.close()
