"""The engine counts what it does, keeps it over a restart, and lets it grow coarser with age."""

from pathlib import Path

from tests.support.engine_world import EngineWorld, engine_world
from tests.support.receiver import Receiver, Reply
from tidings.core import limits
from tidings.core.retry import RetryPolicy
from tidings.core.roll_up import Figures
from tidings.operations.statistics import Counting, StatisticsSpan

EVENTS = 30


async def total_of(world: EngineWorld, subscription_id: str | None) -> Figures:
    counting = Counting(world.store, world.clock, world.engine.figures.unwritten)
    if subscription_id is None:
        return (await counting.of_tenant("default", StatisticsSpan())).total
    return (await counting.of_subscription("default", subscription_id, StatisticsSpan())).total


async def test_what_was_done_is_counted_and_survives_an_orderly_end(
    tmp_path: Path, receiver: Receiver
) -> None:
    def answer(one: object) -> Reply:
        return Reply(500 if len(receiver.received) % 3 == 0 else 200)

    receiver.answer = answer
    async with engine_world(tmp_path) as world:
        name = (
            await world.subscribe(f"{receiver.url}/in", retry_policy=RetryPolicy((0.1,) * 9))
        ).subscription_id
        await world.publish(EVENTS)

        async def all_are_delivered() -> bool:
            return (await total_of(world, name)).outcomes[0] == EVENTS

        await world.until(all_are_delivered)
        before = await total_of(world, name)
        assert before.attempts == len(receiver.received)
        assert before.outcomes[1] == before.attempts - EVENTS > 0
    async with engine_world(tmp_path) as world:
        assert await total_of(world, name) == before
        assert await total_of(world, None) == before


async def test_a_span_that_is_over_is_written_beside_the_deliveries(
    world: EngineWorld, receiver: Receiver
) -> None:
    name = (await world.subscribe(f"{receiver.url}/in")).subscription_id
    # All three at the beginning of a span.
    world.clock.ahead_ms = -world.clock.now_ms() % (limits.ROLL_UP_SECONDS * 1_000)
    await world.publish(3)
    await world.until(lambda: world.engine.figures.unwritten("default", name))

    async def is_written() -> bool:
        record = await world.store.read_statistics(
            "default", name, since_ms=0, until_ms=world.clock.now_ms() + 1
        )
        return sum(one.figures.attempts for one in record.roll_ups) == 3

    assert not await is_written()
    await world.until(
        lambda: (
            sum(one.figures.attempts for one in world.engine.figures.unwritten("default", name))
            == 3
        )
    )
    await world.jump(limits.ROLL_UP_SECONDS * 1_000)
    await world.until(is_written)
    assert (await total_of(world, name)).attempts == 3


async def test_the_figures_of_a_day_stay_the_same_while_they_grow_coarser(
    world: EngineWorld, receiver: Receiver
) -> None:
    name = (await world.subscribe(f"{receiver.url}/in")).subscription_id
    done = 0
    for _ in range(4):
        await world.publish(2)
        done += 2

        async def is_counted(expected: int = done) -> bool:
            return (await total_of(world, name)).attempts == expected

        await world.until(is_counted)
        await world.jump(40_000)
    before = await total_of(world, name)
    for jump_ms, spans in (
        (limits.ROLL_UP_SECONDS_KEPT_MS + 60_000, {60}),
        (limits.ROLL_UP_MINUTES_KEPT_MS + 3_600_000, {3_600}),
    ):
        await world.jump(jump_ms)
        await world.engine.figures.write_closed()
        await world.engine.maintenance.coarsen()
        record = await world.store.read_statistics(
            "default", name, since_ms=0, until_ms=world.clock.now_ms()
        )
        assert {one.span_seconds for one in record.roll_ups} == spans
        assert await total_of(world, name) == before
    await world.jump(31 * 86_400_000)
    await world.engine.maintenance.coarsen()
    record = await world.store.read_statistics(
        "default", name, since_ms=0, until_ms=world.clock.now_ms()
    )
    assert record.roll_ups == []
