"""A running engine and a real receiver for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.engine_world import EngineWorld, engine_world
from tests.support.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[EngineWorld]:
    """A running engine on fresh data."""
    async with engine_world(tmp_path) as one:
        yield one
