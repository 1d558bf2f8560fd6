"""A real store for the verbs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.api_world import ApiWorld, api_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    """The verbs on fresh data."""
    async with api_world(tmp_path) as one:
        yield one
