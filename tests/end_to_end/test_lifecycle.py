"""Nobody is switched off silently, whatever dies in between."""

import json
import random
import time
from pathlib import Path
from typing import Any

from tests.support.receiver import Receiver, Reply
from tests.support.server import Server

SUBJECTS = 5


def _events(server: Server, event_type: str) -> list[Any]:
    parameters = {"eventType": event_type, "limit": "200"}
    items = server.call("GET", "/events", params=parameters)["items"]
    return [server.call("GET", f"/events/{item['eventId']}") for item in items]


def _received(receiver: Receiver, path: str) -> list[Any]:
    return [json.loads(one.body) for one in receiver.at(path)]


def test_a_switched_off_subscription_is_told_although_the_server_is_killed(
    tmp_path: Path, receiver: Receiver
) -> None:
    draw = random.Random(7)
    server = Server(tmp_path / "data").start()
    server.subscribe(f"{receiver.url}/watcher", "tidings.*", retryPolicy={"schedule": [0.1] * 9})
    off: set[str] = set()
    for number in range(SUBJECTS):
        gone = receiver.script(f"/gone{number}", *[410] * 20)
        subject = server.subscribe(gone, retryPolicy={"schedule": [0.1] * 9})
        server.publish()
        # Somewhere between the answer, the commit, and the event that tells of it.
        receiver.wait(f"/gone{number}", 1)
        time.sleep(draw.uniform(0, 0.06))
        server.kill()
        server.start()
        name = subject["subscriptionId"]
        until = time.monotonic() + 15
        while server.call("GET", f"/webhook-subscriptions/{name}")["status"] != "disabled":
            assert time.monotonic() < until, "an answer of 410 did not switch it off"
            time.sleep(0.02)
        off.add(name)
        told = _events(server, "tidings.subscription.disabled")
        assert [one["data"]["subscription"]["subscriptionId"] for one in told].count(name) == 1
    until = time.monotonic() + 15
    while True:
        arrived = {
            one["data"]["subscription"]["subscriptionId"]
            for one in _received(receiver, "/watcher")
            if one["eventType"] == "tidings.subscription.disabled"
        }
        if arrived == off:
            break
        assert time.monotonic() < until, f"{len(off - arrived)} were switched off silently"
        time.sleep(0.05)
    server.client.close()
    assert server.stop() == 0


def test_a_watcher_is_told_in_order_what_became_of_a_delivery(
    server: Server, receiver: Receiver
) -> None:
    server.subscribe(f"{receiver.url}/watcher", "tidings.*")
    receiver.answer = lambda one: Reply(500 if one.path == "/subject" else 200)
    subject = server.subscribe(f"{receiver.url}/subject", retryPolicy={"schedule": [0.1]})
    published = server.publish()
    until = time.monotonic() + 15
    while len(_received(receiver, "/watcher")) < 2:
        assert time.monotonic() < until
        time.sleep(0.02)
    created, dead = sorted(_received(receiver, "/watcher"), key=lambda one: one["occurredAt"])
    assert created["eventType"] == "tidings.subscription.created"
    assert dead["eventType"] == "tidings.delivery.dead_lettered"
    assert dead["data"]["delivery"]["eventId"] == published["eventId"]
    assert dead["data"]["subscription"]["subscriptionId"] == subject["subscriptionId"]
    assert dead["data"]["reason"] == "attempts_exhausted"
