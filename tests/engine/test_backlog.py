"""Backlogs that do not fit into memory, and what happens to them over a restart."""

from pathlib import Path

from tests.support.engine_world import EngineWorld, engine_world
from tests.support.receiver import Receiver
from tidings.core.delivery import DeliveryStatus
from tidings.core.limits import ENDPOINT_WINDOW_ROWS_MAX

MANY = 4 * ENDPOINT_WINDOW_ROWS_MAX


async def test_more_events_than_an_endpoint_holds_in_memory_all_arrive_once(
    world: EngineWorld, receiver: Receiver
) -> None:
    await world.subscribe(f"{receiver.url}/many")
    published = await world.publish(MANY)
    await world.until(lambda: len(receiver.received) >= MANY, seconds=30)
    arrived = [one.event_id for one in receiver.received]
    assert sorted(arrived) == sorted(published)
    assert world.engine.dispatcher.scheduler.rows_in_memory <= MANY


async def test_a_backlog_goes_on_after_a_restart_where_it_stood(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with engine_world(tmp_path, concurrency_max=2, stop_seconds=20) as world:
        await world.subscribe(f"{receiver.url}/later")
        published = await world.publish(MANY)
        await world.until(lambda: len(receiver.received) > 20)
    async with engine_world(tmp_path) as world:
        await world.until(lambda: len(receiver.received) >= MANY, seconds=30)

        async def all_are_delivered() -> bool:
            return len(await world.deliveries(status=DeliveryStatus.DELIVERED)) == MANY

        await world.until(all_are_delivered)
    assert sorted({one.event_id for one in receiver.received}) == sorted(published)
    # A clean stop finishes what is in flight, so nothing was sent twice.
    assert len(receiver.received) == MANY


async def test_the_audit_finds_nothing_in_a_healthy_engine(
    world: EngineWorld, receiver: Receiver
) -> None:
    await world.subscribe(f"{receiver.url}/audited")
    await world.publish(50)
    maintenance = world.engine.maintenance
    for _ in range(5):
        await maintenance.audit()
    await world.until(lambda: len(receiver.received) == 50)
    assert maintenance.rows_missing == 0


async def test_the_audit_sends_what_memory_had_lost(world: EngineWorld, receiver: Receiver) -> None:
    subscription = await world.subscribe(f"{receiver.url}/lost", rate_limit_per_second=0.5)
    await world.publish(3)
    await world.until(lambda: len(receiver.received) == 1)
    # A defect as none is known: the rows that wait for the rate limit vanish from memory.
    roster = world.engine.dispatcher.scheduler._roster
    roster.drop_ready(roster.endpoints[subscription.subscription_id])
    await world.engine.maintenance.audit()
    await world.until(lambda: len(receiver.received) == 3)
    assert world.engine.maintenance.rows_missing == 2
