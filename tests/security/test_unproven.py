"""Whatever is done in whatever order: an endpoint that has not proven itself gets challenges alone.

A long walk of random calls against a real server that requires proofs, with kills between, and a
receiver that knows of each of its URLs whether it has said a challenge back since it was set.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.receiver import Received, Receiver, Reply
from tests.support.server import Server

SUBSCRIPTIONS, URLS, STEPS, KILLS = 4, 3, 200, 2
PUBLISHED_AT_LAST = 10
RETRIES = {"schedule": [0.1] * 20}


def until(is_true: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


class Endpoints:
    """The receiver's side: what it answers, what it has proven, and what came without a proof."""

    def __init__(self, receiver: Receiver, chance: random.Random) -> None:
        self.proven: set[str] = set()
        self.wrong: list[str] = []
        self.challenges = self.events = 0
        self.is_honest = False
        self.meanwhile: Callable[[], None] | None = None
        self._chance = chance
        self._lock = threading.Lock()
        receiver.answer = self.answer

    def answer(self, received: Received) -> Reply:
        event = json.loads(received.body)
        if event["eventType"] == "tidings.verification" and self.meanwhile is not None:
            self.meanwhile()
        with self._lock:
            if event["eventType"] == "tidings.verification":
                self.challenges += 1
                if not self.is_honest and self._chance.random() < 0.3:
                    return Reply(body=b"no")
                self.proven.add(received.path)
                return Reply(body=event["data"]["challenge"].encode())
            self.events += 1
            if received.path not in self.proven:
                self.wrong.append(f"{event['eventType']} at {received.path}")
            return Reply(200 if self.is_honest else self._chance.choice([200, 500, 500, 500]))

    def forget(self, path: str) -> None:
        """A URL is about to be set: what it has proven before counts no more."""
        with self._lock:
            self.proven.discard(path)


class Walk:
    """Somebody who calls whatever the API offers."""

    def __init__(self, server: Server, receiver: Receiver, seed: int) -> None:
        self.chance = random.Random(seed)
        self.server = server
        self.receiver = receiver
        self.endpoints = Endpoints(receiver, random.Random(seed + 1))
        self.subscriptions = [self._subscribe(number) for number in range(SUBSCRIPTIONS)]
        self.answers: set[tuple[str, int]] = set()

    def _subscribe(self, number: int) -> Any:
        # A tenant for each, because each may have only so many challenges sent.
        made = self.server.subscribe(
            f"{self.receiver.url}/{number}/0", tenantId=f"t{number}", retryPolicy=RETRIES
        )
        return {"number": number, "id": made["subscriptionId"], "url": 0}

    def call(self, method: str, path: str, one: Any, body: Any = None) -> Any:
        """A call that may be refused, but by no fault of the server."""
        answer = self.server.client.request(
            method, path, json=body, params={"tenantId": f"t{one['number']}"}
        )
        assert answer.status_code < 500, f"{method} {path}: {answer.text}"
        self.answers.add((path.rsplit("/", 1)[-1], answer.status_code))
        return answer

    def step(self) -> None:
        steps: list[tuple[int, Callable[[Any], Any]]] = [
            (6, self.publish),
            (5, lambda one: self.act(one, "verify")),
            (3, self.move),
            (2, self.move_while_it_is_verified),
            (2, self.retry),
            *((1, lambda one, verb=verb: self.act(one, verb)) for verb in self.VERBS),
        ]
        weights, verbs = zip(*steps, strict=True)
        (verb,) = self.chance.choices(verbs, weights)
        verb(self.chance.choice(self.subscriptions))

    VERBS = ("pause", "resume", "disable", "resume", "test", "replay", "rotate-secret")

    def act(self, one: Any, verb: str) -> Any:
        return self.call("POST", f"/webhook-subscriptions/{one['id']}/{verb}", one)

    def publish(self, one: Any) -> None:
        body = {"eventType": "order.shipped", "data": {}, "tenantId": f"t{one['number']}"}
        answer = self.server.client.post("/events", json=body)
        assert answer.status_code == 202

    def retry(self, one: Any) -> None:
        listed = self.call("GET", "/deliveries", one).json()["items"]
        if listed:
            delivery_id = self.chance.choice(listed)["deliveryId"]
            self.call("POST", f"/deliveries/{delivery_id}/retry", one)

    def move(self, one: Any) -> None:
        """Another URL, perhaps one that the subscription has had before."""
        self.await_nothing_on_the_way()
        self.patch(one)

    def patch(self, one: Any) -> None:
        one["url"] = (one["url"] + self.chance.randrange(1, URLS)) % URLS
        path = f"/{one['number']}/{one['url']}"
        self.endpoints.forget(path)
        body = {"callbackUrl": f"{self.receiver.url}{path}"}
        answer = self.call("PATCH", f"/webhook-subscriptions/{one['id']}", one, body)
        assert answer.json()["status"] == "pending_verification"

    def move_while_it_is_verified(self, one: Any) -> None:
        """The challenge goes to the URL that is left while the endpoint answers it."""
        self.await_nothing_on_the_way()
        self.endpoints.meanwhile = lambda: self.patch(one)
        self.act(one, "verify")
        self.endpoints.meanwhile = None

    def await_nothing_on_the_way(self) -> None:
        """What is on its way to a URL finishes, also after it was left and before it is back."""
        for one in self.subscriptions:
            self.act(one, "pause")
        until(lambda: "tidings_attempts_in_flight 0.0\n" in self.server.client.get("/metrics").text)
        for one in self.subscriptions:
            self.act(one, "resume")

    def finish(self) -> None:
        """Everybody proves what is owed, and all that is unfinished is delivered."""
        self.endpoints.is_honest = True
        for one in self.subscriptions:
            self.move(one)
            self.act(one, "test")
            assert self.act(one, "verify").json()["status"] == "active"
            self.act(one, "test")
            for _ in range(PUBLISHED_AT_LAST):
                self.publish(one)
            until(lambda one=one: not self.pending(one))  # type: ignore[misc]

    def pending(self, one: Any) -> list[Any]:
        listed = self.call("GET", "/deliveries", one).json()["items"]
        return [delivery for delivery in listed if delivery["status"] == "pending"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path / "data", VERIFICATION="required")
    yield one.start()
    one.client.close()
    one.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.mark.timeout(180)
def test_nothing_but_challenges_reaches_an_endpoint_that_has_not_proven_itself(
    server: Server, receiver: Receiver
) -> None:
    walk = Walk(server, receiver, seed=1)
    for _ in range(KILLS):
        for _ in range(STEPS // KILLS):
            walk.step()
            assert walk.endpoints.wrong == []
        server.kill()
        server.start()
    walk.finish()
    assert walk.endpoints.wrong == []
    # The walk is worth something only if it got around.
    assert walk.endpoints.challenges > 20
    assert walk.endpoints.events >= SUBSCRIPTIONS * PUBLISHED_AT_LAST
    assert {("verify", 200), ("verify", 409), ("test", 200), ("test", 409)} <= walk.answers
