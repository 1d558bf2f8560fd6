"""What was committed is there after the store was closed and opened again."""

from pathlib import Path

from tests.contracts.store.conftest import Filled
from tests.support.stores import StoreOpener
from tests.support.values import NOW_MS, TENANT, an_event


async def test_everything_is_there_again_and_the_order_goes_on(
    opener: StoreOpener, tmp_path: Path
) -> None:
    async with opener(tmp_path) as store:
        filled = Filled(store)
        subscription = await filled.subscribe()
        rows = await filled.publish(3)
        await filled.end(rows[0])
    async with opener(tmp_path) as store:
        filled = Filled(store)
        loaded = await store.load_subscriptions()
        assert [one.subscription for one in loaded] == [subscription]
        page = await store.read_page(subscription.subscription_id, after_seq=0, limit=9)
        assert page.rows == rows[1:]
        # The clock went back over night; the order does not.
        await store.accept_events([an_event()], now_ms=NOW_MS - 1_000_000)
        (later,) = filled.told[-1].arrived
        assert later.seq > rows[-1].seq
        assert len(await filled.listed()) == 4
        await store.check()
        assert await store.list_tenants(before=None, limit=9) == [(TENANT, NOW_MS)]
