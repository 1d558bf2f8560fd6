"""While our own way out is closed nobody is charged for it, and what waits goes out afterwards."""

from functools import partial
from pathlib import Path

from tests.support.connect_proxy import ConnectProxy, refusing
from tests.support.engine_world import engine_world
from tests.support.receiver import Receiver
from tidings.core.delivery import DeliveryStatus
from tidings.core.egress_proxy import EgressProxy
from tidings.core.limits import OUR_FAULT_RETRY_MS
from tidings.core.retry import RetryPolicy


def _was_asked_again(proxy: ConnectProxy, known: int) -> bool:
    return len(proxy.asked) > known


async def test_a_proxy_that_fails_costs_no_attempt(tmp_path: Path, receiver: Receiver) -> None:
    async with ConnectProxy(refusing("407 X", "Proxy-Authenticate: Basic")) as proxy:
        way_out = EgressProxy("127.0.0.1", proxy.port)
        async with engine_world(tmp_path, proxy=way_out) as world:
            await world.subscribe(f"{receiver.url}/in", retry_policy=RetryPolicy(()))
            await world.publish()
            for _ in range(3):
                known = len(proxy.asked)
                await world.until(partial(_was_asked_again, proxy, known))
                await world.jump(2 * OUR_FAULT_RETRY_MS)
            (waiting,) = await world.deliveries()
            assert waiting.status is not DeliveryStatus.DEAD_LETTERED
            proxy.behaviour = proxy.tunnel
            await world.jump(2 * OUR_FAULT_RETRY_MS)
            await world.until(lambda: world.deliveries(status=DeliveryStatus.DELIVERED))
            assert len(receiver.at("/in")) == 1


async def test_a_receiver_that_the_proxy_cannot_reach_costs_its_attempts(
    tmp_path: Path, receiver: Receiver
) -> None:
    async with ConnectProxy(refusing("502 Bad Gateway")) as proxy:
        way_out = EgressProxy("127.0.0.1", proxy.port)
        async with engine_world(tmp_path, proxy=way_out) as world:
            await world.subscribe(f"{receiver.url}/in", retry_policy=RetryPolicy(()))
            await world.publish()
            await world.until(lambda: world.deliveries(status=DeliveryStatus.DEAD_LETTERED))
