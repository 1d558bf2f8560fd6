"""Publishing when the store is not well: nobody is kept waiting for what may never come."""

import asyncio
from pathlib import Path

import apsw

from tests.support.api_world import EVENT, ApiWorld
from tests.support.problems import expect_problem
from tests.support.waiting import eventually
from tidings.core import limits


async def test_behind_a_commit_that_hangs_nobody_is_made_to_wait(
    world: ApiWorld, tmp_path: Path
) -> None:
    publisher = world.publisher
    other = apsw.Connection(str(tmp_path / "tidings.db"))
    other.execute("BEGIN IMMEDIATE")
    first = asyncio.create_task(world.client.post("/events", json=EVENT))
    await eventually(lambda: publisher._is_committing)
    second = asyncio.create_task(world.client.post("/events", json=EVENT))
    await eventually(lambda: len(publisher._waiting) == 1)

    world.clock.monotonic_ahead_ms += limits.COMMIT_MS_MAX + 1
    refused = await world.client.post("/events", json=EVENT)
    expect_problem(refused, 503, "unavailable")
    assert refused.headers["retry-after"] == "1"

    other.execute("ROLLBACK")
    other.close()
    assert [(await one).status_code for one in (first, second)] == [202, 202]
    await world.publish()
