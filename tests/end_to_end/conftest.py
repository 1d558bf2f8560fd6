"""A real server process and a real receiver for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.receiver import Receiver
from tests.support.server import Server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A development server on fresh data."""
    one = Server(tmp_path / "data").start()
    yield one
    one.client.close()
    one.stop()
