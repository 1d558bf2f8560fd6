"""The database is away for a while: nothing is lost, little is repeated, all goes on by itself."""

import pytest

from tests.support.engine_world import EngineWorld
from tests.support.receiver import Receiver
from tests.support.stores import OF_WORLDS
from tidings.core.delivery import DeliveryStatus
from tidings.core.limits import RESULTS_UNRECORDED_MAX
from tidings.core.refusals import Unavailable
from tidings.storage.sql.transaction import Transaction


def _fill(tx: Transaction) -> None:
    """Let the database think that the disk is full, as soon as it needs a page more."""
    (pages,) = tx.db.execute("PRAGMA page_count").fetchall()[0]
    tx.db.execute(f"PRAGMA max_page_count = {pages}").fetchall()


def _make_room(tx: Transaction) -> None:
    tx.db.execute("PRAGMA max_page_count = 1073741823").fetchall()


async def _publish_until_refused(world: EngineWorld) -> int:
    for accepted in range(2_000):
        try:
            await world.publish(1)
        except Unavailable:
            return accepted
    raise AssertionError("the disk did not fill")


@pytest.mark.skipif(OF_WORLDS != "sqlite", reason="only SQLite can be told that its disk is full")
async def test_a_full_disk_is_answered_503_and_waited_out(
    world: EngineWorld, receiver: Receiver
) -> None:
    await world.subscribe(f"{receiver.url}/full")
    await world.publish(5)
    await world.store.writer.run(_fill)
    accepted = await _publish_until_refused(world)
    await world.store.writer.run(_make_room)
    await world.publish(1)
    expected = 5 + accepted + 1

    async def all_are_delivered() -> bool:
        return len(await world.deliveries(status=DeliveryStatus.DELIVERED)) == expected

    await world.until(all_are_delivered, seconds=30)
    repeats = len(receiver.received) - expected
    assert 0 <= repeats <= RESULTS_UNRECORDED_MAX
    assert len({one.event_id for one in receiver.received}) >= expected
