"""One event, however often and however concurrently it is published."""

from concurrent.futures import ThreadPoolExecutor

from tests.support.receiver import Receiver
from tests.support.server import Server


def test_100_concurrent_publishes_of_one_event_id_are_one_event(
    server: Server, receiver: Receiver
) -> None:
    server.subscribe(f"{receiver.url}/once")
    body = {"eventType": "order.shipped", "data": {"n": 1}, "eventId": "evt_same"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: server.client.post("/events", json=body), range(100)))
    assert {one.status_code for one in answers} == {202}
    assert len({one.content for one in answers}) == 1
    repeats = [one for one in answers if one.headers.get("Idempotent-Replay") == "true"]
    assert len(repeats) == 99
    receiver.wait("/once", 1)
    assert len(server.deliveries()) == 1
    assert len(receiver.at("/once")) == 1


def test_an_event_accepted_after_the_201_reaches_the_subscription(
    server: Server, receiver: Receiver
) -> None:
    for number in range(20):
        server.subscribe(f"{receiver.url}/new/{number}", event_type=f"new.n{number}")
        assert server.publish(f"new.n{number}")["deliveries"] == 1
        receiver.wait(f"/new/{number}", 1)
