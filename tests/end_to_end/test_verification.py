"""A server where endpoints must prove that they want events, a receiver, and nothing between."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.receiver import Received, Receiver, Reply
from tests.support.server import Server
from tidings.signing import verify as verify_signature

RETRIES = {"schedule": [0.6] * 20}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "data", VERIFICATION="required")
    yield one.start()
    one.client.close()
    one.stop()


def echo(received: Received) -> Reply:
    """Say the challenge back, and take everything else."""
    event = json.loads(received.body)
    if event["eventType"] != "tidings.verification":
        return Reply(200)
    return Reply(200, body=json.dumps({"challenge": event["data"]["challenge"]}).encode())


def path_of(subscription: Any, action: str = "") -> str:
    return f"/webhook-subscriptions/{subscription['subscriptionId']}{action}"


def types(received: list[Received]) -> list[str]:
    return [json.loads(one.body)["eventType"] for one in received]


def only_delivery(server: Server, subscription: Any) -> str:
    (found,) = server.call("GET", path_of(subscription, "/deliveries"))["items"]
    return str(found["deliveryId"])


def test_an_endpoint_gets_a_signed_challenge_and_nothing_before_it(
    server: Server, receiver: Receiver
) -> None:
    receiver.answer = echo
    subscription = server.subscribe(f"{receiver.url}/in", headers={"X-Token": "t"})
    assert subscription["status"] == "pending_verification"
    assert server.publish()["deliveries"] == 0
    assert server.client.post(path_of(subscription, "/test")).status_code == 409
    assert server.call("POST", path_of(subscription, "/verify"))["status"] == "active"
    event_id = server.publish()["eventId"]
    challenge, event = receiver.wait("/in", 2)
    assert types([challenge, event]) == ["tidings.verification", "order.shipped"]
    assert event.event_id == event_id
    assert challenge.headers["content-type"] == "application/json"
    assert challenge.headers["x-token"] == "t"
    now = int(challenge.headers["webhook-timestamp"])
    headers = dict(challenge.headers)
    signed = verify_signature(headers, challenge.body, [subscription["secret"]], now_seconds=now)
    assert signed == json.loads(challenge.body)["eventId"] == challenge.event_id
    assert len(server.call("GET", "/events")["items"]) == 2


@pytest.mark.parametrize("payload_format", ["thin", "cloudevents"])
def test_a_challenge_is_whole_in_every_format(
    server: Server, receiver: Receiver, payload_format: str
) -> None:
    receiver.answer = lambda one: Reply(body=json.loads(one.body)["data"]["challenge"].encode())
    subscription = server.subscribe(
        f"{receiver.url}/{payload_format}", payloadFormat=payload_format, thinAboveBytes=0
    )
    assert server.call("POST", path_of(subscription, "/verify"))["status"] == "active"
    (sent,) = receiver.at(f"/{payload_format}")
    challenge = json.loads(sent.body)
    named = "type" if payload_format == "cloudevents" else "eventType"
    assert challenge[named] == "tidings.verification"


def test_an_endpoint_that_says_nothing_back_gets_nothing_else(
    server: Server, receiver: Receiver
) -> None:
    subscription = server.subscribe(f"{receiver.url}/in")
    refused = server.client.post(path_of(subscription, "/verify"))
    assert (refused.status_code, refused.json()["errorClass"]) == (409, "bad_challenge")
    assert server.call("GET", path_of(subscription))["status"] == "pending_verification"
    assert server.publish()["deliveries"] == 0
    assert types(receiver.at("/in")) == ["tidings.verification"]


def test_unfinished_deliveries_wait_until_the_changed_url_is_proven(
    server: Server, receiver: Receiver
) -> None:
    receiver.answer = echo
    moving = server.subscribe(f"{receiver.url}/old", retryPolicy=RETRIES)
    staying = server.subscribe(f"{receiver.url}/staying", retryPolicy=RETRIES)
    for one in (moving, staying):
        server.call("POST", path_of(one, "/verify"))
    receiver.answer = lambda one: echo(one) if one.path == "/new" else Reply(500)
    server.publish()
    receiver.wait("/old", 2)
    server.call("PATCH", path_of(moving), {"callbackUrl": f"{receiver.url}/new"})
    # One attempt may have been on its way; nothing follows it, while the other goes on.
    receiver.wait("/staying", len(receiver.at("/staying")) + 2)
    came_to_old = len(receiver.at("/old"))
    server.stop()
    server.start()
    receiver.wait("/staying", len(receiver.at("/staying")) + 2)
    assert len(receiver.at("/old")) == came_to_old
    assert receiver.at("/new") == []
    delivery_id = only_delivery(server, moving)
    assert server.call("GET", f"/deliveries/{delivery_id}")["status"] == "pending"
    assert server.client.post(f"/deliveries/{delivery_id}/retry").status_code == 409
    server.call("POST", path_of(moving, "/verify"))
    server.await_delivery(delivery_id, "delivered")
    assert types(receiver.at("/new")) == ["tidings.verification", "order.shipped"]
    assert len(receiver.at("/old")) == came_to_old


class Gate:
    """A receiver's path that answers when a test says so."""

    def __init__(self, reply: Reply) -> None:
        self.opened = threading.Event()
        self._reply = reply

    def answer(self, received: Received) -> Reply:
        if received.path == "/old" and types([received]) == ["order.shipped"]:
            self.opened.wait(20)
            return self._reply
        return echo(received)


@pytest.mark.parametrize(
    ("reply", "status"), [(Reply(200), "delivered"), (Reply(410), "dead_lettered")]
)
def test_an_attempt_in_flight_finishes_and_says_nothing_of_the_new_url(
    server: Server, receiver: Receiver, reply: Reply, status: str
) -> None:
    gate = Gate(reply)
    receiver.answer = gate.answer
    subscription = server.subscribe(f"{receiver.url}/old")
    server.call("POST", path_of(subscription, "/verify"))
    server.publish()
    receiver.wait("/old", 2)
    server.call("PATCH", path_of(subscription), {"callbackUrl": f"{receiver.url}/new"})
    gate.opened.set()
    ended = server.await_delivery(only_delivery(server, subscription), status)
    assert [one["statusCode"] for one in ended["attempts"]] == [reply.status]
    assert server.call("POST", path_of(subscription, "/verify"))["status"] == "active"
    server.publish()
    assert types(receiver.wait("/new", 2)) == ["tidings.verification", "order.shipped"]
    assert server.call("GET", path_of(subscription))["status"] == "active"


def test_a_url_changed_while_its_challenge_is_on_the_way_is_not_proven_by_it(
    server: Server, receiver: Receiver
) -> None:
    subscription = server.subscribe(f"{receiver.url}/old")

    def change_the_url_and_echo(received: Received) -> Reply:
        if received.path == "/old":
            server.call("PATCH", path_of(subscription), {"callbackUrl": f"{receiver.url}/new"})
        return echo(received)

    receiver.answer = change_the_url_and_echo
    refused = server.client.post(path_of(subscription, "/verify"))
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_state")
    after = server.call("GET", path_of(subscription))
    assert (after["status"], after["verifiedAt"]) == ("pending_verification", None)
    assert receiver.at("/new") == []
    assert server.call("POST", path_of(subscription, "/verify"))["status"] == "active"
