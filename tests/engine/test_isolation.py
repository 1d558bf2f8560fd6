"""One endpoint never slows another."""

import asyncio
import time
from pathlib import Path

from tests.support.engine_world import EngineWorld, engine_world
from tests.support.receiver import Receiver, Reply


async def test_endpoints_that_hang_leave_slots_for_those_that_answer(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda one: Reply(after_seconds=60 if one.path == "/hang" else 0)
    async with engine_world(tmp_path, concurrency_max=8) as world:
        await world.subscribe(f"{receiver.url}/quick", event_type="quick.*")
        await world.publish(1, "quick.first")
        await world.until(lambda: len(receiver.at("/quick")) == 1)
        for _ in range(16):
            await world.subscribe(f"{receiver.url}/hang", event_type="stuck.*")
        await world.publish(5, "stuck.event")
        await world.until(lambda: len(receiver.at("/hang")) >= 6)
        began = time.monotonic()
        for count in range(2, 12):
            await world.publish(1, "quick.again")
            await asyncio.to_thread(receiver.wait, "/quick", count)
        assert time.monotonic() - began < 40


async def test_a_tenant_with_a_flood_does_not_delay_another(
    world: EngineWorld, receiver: Receiver
) -> None:
    receiver.answer = lambda _: Reply(after_seconds=0.02)
    await world.subscribe(f"{receiver.url}/flood")
    await world.subscribe(f"{receiver.url}/quiet", tenant_id="quiet")
    await world.publish(600)
    await world.publish(1, tenant_id="quiet")
    arrived_before = len(receiver.received)
    await world.until(lambda: len(receiver.at("/quiet")) == 1)
    arrived = [one.path for one in receiver.received]
    assert arrived.index("/quiet") - arrived_before < 300


async def test_the_rate_limit_of_an_endpoint_is_kept(
    world: EngineWorld, receiver: Receiver
) -> None:
    await world.subscribe(f"{receiver.url}/limited", rate_limit_per_second=20.0)
    await world.publish(30)
    await world.until(lambda: len(receiver.received) == 30)
    times = [one.at for one in receiver.received]
    # Without a limit it would take some hundredths of a second; a slow machine may see them close.
    assert times[-1] - times[0] >= 29 / 20 / 2
