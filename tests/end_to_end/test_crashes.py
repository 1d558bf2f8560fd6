"""The server is killed at random moments; nothing that got its 202 may be lost."""

import random
import threading
import time
from pathlib import Path

import httpx2
import pytest

from tests.support.receiver import Receiver, Reply
from tests.support.server import Server

KILLS = 20


@pytest.mark.timeout(180)
def test_everything_with_a_202_arrives_although_the_server_is_killed_20_times(
    tmp_path: Path, receiver: Receiver
) -> None:
    draw = random.Random(20)
    flaky = random.Random(7)
    receiver.answer = lambda _: Reply(500 if flaky.random() < 0.1 else 200)
    server = Server(tmp_path / "data").start()
    server.subscribe(f"{receiver.url}/all", retryPolicy={"schedule": [0.1] * 20})
    accepted: list[str] = []
    is_over = threading.Event()

    def publish(worker: int) -> None:
        number = 0
        with httpx2.Client(base_url=server.url, timeout=5, trust_env=False) as client:
            while not is_over.is_set():
                event_id = f"e{worker}-{number}"
                body = {"eventType": "order.shipped", "data": {}, "eventId": event_id}
                try:
                    answer = client.post("/events", json=body)
                except httpx2.TransportError:
                    time.sleep(0.02)
                    continue
                assert answer.status_code in (202, 503), answer.text
                if answer.status_code == 202:
                    accepted.append(event_id)
                    number += 1

    publishers = [threading.Thread(target=publish, args=(worker,)) for worker in range(4)]
    for one in publishers:
        one.start()
    for _ in range(KILLS):
        time.sleep(draw.uniform(0.05, 0.4))
        server.kill()
        server.start()
    time.sleep(0.2)
    is_over.set()
    for one in publishers:
        one.join()

    until = time.monotonic() + 60
    while {one.event_id for one in receiver.received} < set(accepted):
        assert time.monotonic() < until, "an accepted event did not arrive"
        time.sleep(0.1)
    while server.deliveries(status="pending"):
        assert time.monotonic() < until, "a delivery did not end"
        time.sleep(0.1)

    seen = [one.event_id for one in receiver.received]
    assert len(accepted) == len(set(accepted)) > KILLS
    # Each kill can repeat what was in flight or answered but not yet recorded (window W4), never
    # more: 4 publishers and the results of a few milliseconds.
    delivered = _delivered_count(server)
    duplicates = len(seen) - _attempts_recorded(server)
    assert delivered >= len(set(accepted))
    assert 0 <= duplicates <= KILLS * 64
    assert _faults(tmp_path / "data") == []
    server.client.close()
    assert server.stop() == 0


def _pages(server: Server) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
        page = server.call("GET", "/deliveries", params=parameters)
        found += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            return found


def _delivered_count(server: Server) -> int:
    return sum(1 for one in _pages(server) if one["status"] == "delivered")


def _attempts_recorded(server: Server) -> int:
    total = 0
    for one in _pages(server):
        count = one["attemptCount"]
        assert isinstance(count, int)
        total += count
    return total


def _faults(data_dir: Path) -> list[str]:
    from tidings.storage.sqlite.maintenance import check  # noqa: PLC0415 - read beside the server

    (database,) = data_dir.glob("*.db")
    return check(database)


def test_a_stopped_server_finishes_what_is_in_flight(tmp_path: Path, receiver: Receiver) -> None:
    server = Server(tmp_path / "data").start()
    url = receiver.script("/slow", Reply(200, after_seconds=0.8))
    server.subscribe(url)
    server.publish()
    receiver.wait("/slow", 1)
    assert server.stop() == 0
    server.start()
    delivery_id = server.deliveries()[0]["deliveryId"]
    delivery = server.await_delivery(delivery_id, "delivered")
    assert delivery["attemptCount"] == 1
    assert len(receiver.at("/slow")) == 1
    server.client.close()
    assert server.stop() == 0


def test_a_retry_keeps_its_due_time_over_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    server = Server(tmp_path / "data").start()
    url = receiver.script("/later", 500)
    server.subscribe(url, retryPolicy={"schedule": [2.5]})
    server.publish()
    receiver.wait("/later", 1)
    until = time.monotonic() + 5
    while not (due := server.deliveries()[0]["nextAttemptAt"]):
        assert time.monotonic() < until
        time.sleep(0.02)
    server.kill()
    server.start()
    assert server.deliveries()[0]["nextAttemptAt"] == due
    first, second = receiver.wait("/later", 2)
    assert second.at - first.at > 1.9
    server.client.close()
    assert server.stop() == 0
