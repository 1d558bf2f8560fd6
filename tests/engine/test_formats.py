"""What receivers get in each format: signed, the same on every attempt, whatever changed since."""

import json
from dataclasses import replace
from functools import partial

import pytest

from tests.support.engine_world import PAYLOADS, EngineWorld
from tests.support.receiver import Received, Receiver
from tests.support.values import TENANT
from tidings.core.payload import PayloadFormat
from tidings.signing import verify

DATA = b'{"n": 1.0, "t": "' + b"x" * 500 + b'"}'


@pytest.mark.parametrize("thin_above", [None, 100, 100_000])
@pytest.mark.parametrize("payload_format", list(PayloadFormat))
async def test_retries_and_replays_repeat_the_same_bytes(
    world: EngineWorld, receiver: Receiver, payload_format: PayloadFormat, thin_above: int | None
) -> None:
    subscription = await world.subscribe(
        receiver.script("/in", 500), payload_format=payload_format, thin_above_bytes=thin_above
    )
    (event_id,) = await world.publish(data=DATA)
    await _arrived(world, receiver, 1)
    other = PayloadFormat.THIN if payload_format is PayloadFormat.TIDINGS else PayloadFormat.TIDINGS
    change = partial(replace, payload_format=other, thin_above_bytes=None)
    await world.store.change_subscription(TENANT, subscription.subscription_id, change)
    await world.jump(10_000)
    await _arrived(world, receiver, 2)
    await world.until(partial(_is_delivered, world))
    (delivery,) = await world.deliveries()
    await world.store.replay_delivery(TENANT, delivery.delivery_id, now_ms=world.clock.now_ms())
    first, *repeats = await _arrived(world, receiver, 3)

    event = await world.store.get_event(TENANT, event_id)
    assert first.body == PAYLOADS.body(delivery.form, TENANT, event.seq, event.body)
    for one in repeats:
        assert one.body == first.body
        assert one.headers["content-type"] == first.headers["content-type"]
    for one in (first, *repeats):
        now_seconds = world.clock.now_ms() // 1_000
        assert verify(one.headers, one.body, ["whsec_abc123"], now_seconds=now_seconds) == event_id
    is_thin = payload_format is PayloadFormat.THIN or thin_above == 100
    sent = json.loads(first.body)
    assert ("dataUrl" in sent or "dataref" in sent) is is_thin
    assert (DATA in first.body) is not is_thin


async def _arrived(world: EngineWorld, receiver: Receiver, count: int) -> list[Received]:
    await world.until(lambda: len(receiver.received) >= count)
    return receiver.received


async def _is_delivered(world: EngineWorld) -> bool:
    (delivery,) = await world.deliveries()
    return delivery.status == "delivered"
