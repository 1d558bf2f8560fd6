"""Checking many events: nobody waits for all of them."""

import asyncio
import json

from tests.support.api_world import ApiWorld
from tidings.core import limits
from tidings.core.catalogue import Described, Validation
from tidings.core.event_schema import event_schema


async def test_between_costly_checks_others_get_their_turn(world: ApiWorld) -> None:
    parts = [{"minimum": 0}] * 100
    schema = json.dumps({"properties": {"a": {"items": {"allOf": parts}}}})
    described = Described(schema=schema, validation=Validation.ENFORCE)
    await world.catalogue.put("default", "a.b", described, by="")
    data = b'{"a": [' + b"1," * 300 + b"-1]}"
    assert event_schema(schema).steps(data) > limits.SCHEMA_STEPS_AT_ONCE / 2

    turns = 0
    checking = asyncio.create_task(world.catalogue.faults([("default", "a.b", data)] * 10))
    while not checking.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 5
    places = [[one.pointer for one in faults] for faults in checking.result()]
    assert places == [["/data/a/300"]] * 10
