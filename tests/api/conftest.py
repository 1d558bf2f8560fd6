"""The API on fresh data for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.api_world import ApiWorld, api_world
from tests.support.served import Listening, opened


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    """In development mode, so that a client without a key may do everything."""
    async with api_world(tmp_path) as one:
        yield one


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    """As in production: nothing without a key."""
    async with api_world(tmp_path, is_dev=False) as one:
        yield one


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Listening]:
    """A server with the API, and who listens to it."""
    async with opened(tmp_path) as one:
        yield one
