"""Databases on real PostgreSQL servers, of every version on this machine, for any test."""

import os
from collections.abc import Callable, Iterator
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

TEMPLATE = f"tidings_template_{os.getpid()}"
"""The database that others are copied from: migrated, and empty."""
TEMPLATE_WITH_DAYS = f"{TEMPLATE}_days"
"""The same, with partitions for the moment at which most tests live."""
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
_GIVEN: list[Databases] = []


def pytest_sessionfinish() -> None:
    """Stop the servers that were started."""
    shared_server.cache_clear()
    while _GIVEN:
        server = _GIVEN.pop()
        for template in (TEMPLATE, TEMPLATE_WITH_DAYS):
            server.run(f"DROP DATABASE {template}")
    while _OWN:
        _OWN.pop().remove()


@cache
def shared_server(where: Installation | str) -> Databases:
    """A server that many tests share, started when it is first asked for."""
    if isinstance(where, str):
        server = Databases(where)
        _GIVEN.append(server)
    else:
        own = PostgresServer(where)
        _OWN.append(own)
        own.make()
        own.start()
        server = own
    _make_templates(server)
    return server


def _make_templates(server: Databases) -> None:
    server.run(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8'")
    _do(server.url(TEMPLATE), migrate)
    server.run(f"CREATE DATABASE {TEMPLATE_WITH_DAYS} TEMPLATE {TEMPLATE}")
    _do(server.url(TEMPLATE_WITH_DAYS), lambda db: make_partitions_ahead(db, NOW_MS))


def _do(url: str, act: Callable[[PostgresConnection], object]) -> None:
    """Do something to a database from a thread that runs no event loop."""

    def do() -> None:
        db = PostgresConnection(url)
        try:
            act(db)
        finally:
            db.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(do).result()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Databases) -> str:
    """The database that others are copied from: migrated, and empty."""
    assert postgres_server.own_url
    return TEMPLATE


@pytest.fixture
def postgres_url(postgres_server: Databases, postgres_template: str) -> Iterator[str]:
    """A migrated database of its own for a test."""
    with postgres_server.new_database(postgres_template) as name:
        yield postgres_server.url(name)


@pytest.fixture
def empty_postgres_url(postgres_server: Databases) -> Iterator[str]:
    """A database without any table for a test."""
    with postgres_server.new_database() as name:
        yield postgres_server.url(name)


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[PostgresConnection]:
    """A connection to a migrated database of its own for a test, which may hold locks for long."""
    db = PostgresConnection(postgres_url, idle_ms=60_000)
    yield db
    db.close()
