"""Databases on real PostgreSQL servers, of every version on this machine, for any test."""

from collections.abc import Iterator

import pytest

from tests.support.postgres_server import (
    GIVEN_URL,
    Databases,
    Installation,
    installations,
    running_server,
)
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.migrate import migrate

TEMPLATE = "tidings_template"
_SHARED: list[Installation | str] = [GIVEN_URL] if GIVEN_URL else [*installations()]


@pytest.fixture(scope="session", params=installations(), ids=str)
def postgres_installation(request: pytest.FixtureRequest) -> Installation:
    """One version of PostgreSQL after the other, for tests that start servers of their own."""
    found: Installation = request.param
    return found


@pytest.fixture(
    scope="session", params=_SHARED, ids=lambda one: "postgres-given" if GIVEN_URL else str(one)
)
def postgres_server(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """A server that many tests share, so they must leave it running. It has a migrated template."""
    if isinstance(request.param, str):
        server = Databases(request.param)
        server.run(f"DROP DATABASE IF EXISTS {TEMPLATE}")
        make_template(server)
        yield server
        return
    with running_server(request.param) as own:
        make_template(own)
        yield own


def make_template(server: Databases) -> None:
    """Make the database that others are copied from: migrated, and empty."""
    server.run(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0 ENCODING 'UTF8'")
    db = PostgresConnection(server.url(TEMPLATE))
    try:
        migrate(db)
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
