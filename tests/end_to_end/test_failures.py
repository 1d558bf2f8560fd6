"""What happens when a receiver does not answer as hoped, state by state."""

import time

from standardwebhooks import Webhook

from tests.support.receiver import Receiver, Reply
from tests.support.server import Server

SHORT = {"schedule": [0.1, 0.1]}


def only_delivery(server: Server, **filters: str) -> str:
    """The id of the one delivery there is."""
    deliveries = server.deliveries(**filters)
    assert len(deliveries) == 1
    return str(deliveries[0]["deliveryId"])


def test_500_500_200_gets_three_signed_attempts_with_one_id(
    server: Server, receiver: Receiver
) -> None:
    url = receiver.script("/recovers", 500, 500, 200)
    subscription = server.subscribe(url, retryPolicy={"schedule": [1.2, 0.2]})
    event = server.publish()
    delivery = server.await_delivery(only_delivery(server), "delivered")
    received = receiver.at("/recovers")
    assert [one.event_id for one in received] == [event["eventId"]] * 3
    assert received[0].headers["webhook-timestamp"] != received[2].headers["webhook-timestamp"]
    for one in received:
        Webhook(subscription["secret"]).verify(one.body, dict(one.headers))
    assert [one["outcome"] for one in delivery["attempts"]] == ["failed", "failed", "delivered"]
    assert [one["statusCode"] for one in delivery["attempts"]] == [500, 500, 200]
    assert delivery["attemptCount"] == 3


def test_what_never_recovers_is_dead_lettered_and_can_be_replayed(
    server: Server, receiver: Receiver
) -> None:
    url = receiver.script("/dead", 500, 500, 500)
    subscription = server.subscribe(url, retryPolicy=SHORT)
    server.publish()
    delivery_id = only_delivery(server)
    delivery = server.await_delivery(delivery_id, "dead_lettered")
    assert delivery["deadLetterReason"] == "attempts_exhausted"
    listed = server.call("GET", "/dead-letters")["items"]
    assert [one["deliveryId"] for one in listed] == [delivery_id]
    server.call("POST", f"/dead-letters/{delivery_id}/replay")
    delivery = server.await_delivery(delivery_id, "delivered")
    assert (delivery["attemptCount"], delivery["replayCount"]) == (4, 1)
    assert delivery["subscriptionId"] == subscription["subscriptionId"]
    assert len({one.event_id for one in receiver.at("/dead")}) == 1


def test_retry_after_on_503_holds_the_whole_subscription(
    server: Server, receiver: Receiver
) -> None:
    url = receiver.script("/busy", Reply(503, {"Retry-After": "5"}))
    server.subscribe(url, retryPolicy=SHORT)
    server.publish(eventId="first")
    receiver.wait("/busy", 1)
    server.await_attempts(only_delivery(server), 1)
    server.publish(eventId="second")
    received = receiver.wait("/busy", 3)
    assert all(one.at - received[0].at > 4.8 for one in received[1:])
    assert {one.event_id for one in received[1:]} == {"first", "second"}


def test_410_dead_letters_and_disables(server: Server, receiver: Receiver) -> None:
    url = receiver.script("/gone", 410)
    subscription = server.subscribe(url)
    server.publish()
    delivery = server.await_delivery(only_delivery(server), "dead_lettered")
    assert delivery["deadLetterReason"] == "gone"
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}"
    until = time.monotonic() + 30
    while (found := server.call("GET", path))["status"] != "disabled":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert found["disabledReason"] == "gone"
    assert server.publish()["deliveries"] == 0


def test_redirects_are_failures_and_never_followed(server: Server, receiver: Receiver) -> None:
    url = receiver.script("/moved", Reply(302, {"Location": f"{receiver.url}/elsewhere"}))
    server.subscribe(url, retryPolicy={"schedule": []})
    server.publish()
    delivery = server.await_delivery(only_delivery(server), "dead_lettered")
    assert delivery["attempts"][0]["statusCode"] == 302
    assert receiver.at("/elsewhere") == []


def test_a_paused_subscription_holds_its_events_until_resume(
    server: Server, receiver: Receiver
) -> None:
    subscription = server.subscribe(f"{receiver.url}/paused")
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}"
    assert server.call("POST", f"{path}/pause")["status"] == "paused"
    assert server.publish()["deliveries"] == 1
    time.sleep(0.3)
    assert receiver.at("/paused") == []
    assert server.call("POST", f"{path}/resume")["status"] == "active"
    receiver.wait("/paused", 1)


def test_a_disabled_subscription_dead_letters_what_waits_and_can_catch_up(
    server: Server, receiver: Receiver
) -> None:
    subscription = server.subscribe(f"{receiver.url}/disabled")
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}"
    server.call("POST", f"{path}/pause")
    server.publish(eventId="held")
    server.call("POST", f"{path}/disable")
    delivery = server.await_delivery(only_delivery(server), "dead_lettered")
    assert delivery["deadLetterReason"] == "subscription_disabled"
    assert server.publish(eventId="missed")["deliveries"] == 0
    server.call("POST", f"{path}/resume")
    answer = server.call("POST", f"{path}/replay", {"only": "missed"})
    assert answer["deliveries"] == 1
    assert receiver.wait("/disabled", 1)[0].event_id == "missed"
    answer = server.call("POST", f"{path}/replay", {})
    assert answer["deliveries"] == 1
    assert receiver.wait("/disabled", 2)[1].event_id == "held"


def test_deleting_a_subscription_cancels_what_waits(server: Server, receiver: Receiver) -> None:
    subscription = server.subscribe(f"{receiver.url}/deleted")
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}"
    server.call("POST", f"{path}/pause")
    server.publish()
    delivery_id = only_delivery(server)
    assert server.client.delete(path).status_code == 204
    assert server.client.get(path).status_code == 404
    server.await_delivery(delivery_id, "cancelled")
    assert receiver.at("/deleted") == []


def test_rotation_signs_with_both_secrets_until_the_overlap_ends(
    server: Server, receiver: Receiver
) -> None:
    subscription = server.subscribe(f"{receiver.url}/rotated")
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}"
    rotated = server.call("POST", f"{path}/rotate-secret", {})
    server.publish()
    received = receiver.wait("/rotated", 1)[0]
    for secret in (subscription["secret"], rotated["secret"]):
        Webhook(secret).verify(received.body, dict(received.headers))
    last = server.call("POST", f"{path}/rotate-secret", {"overlapSeconds": 0})
    server.publish()
    received = receiver.wait("/rotated", 2)[1]
    assert len(received.headers["webhook-signature"].split(" ")) == 1
    Webhook(last["secret"]).verify(received.body, dict(received.headers))


def test_events_with_one_ordering_key_arrive_in_order_and_block_no_other(
    server: Server, receiver: Receiver
) -> None:
    failed: set[str] = set()

    def fail_each_once_for_a(received: object) -> Reply:
        event_id = getattr(received, "event_id", "")
        if event_id.startswith("a") and event_id not in failed:
            failed.add(event_id)
            return Reply(500)
        return Reply()

    receiver.answer = fail_each_once_for_a
    server.subscribe(
        f"{receiver.url}/ordered", orderingEnabled=True, retryPolicy={"schedule": [0.2] * 5}
    )
    items = [
        {"eventType": "order.shipped", "data": {}, "eventId": f"{key}{n}", "orderingKey": key}
        for n in range(5)
        for key in "ab"
    ]
    server.call("POST", "/events/batch", {"events": items})
    received = receiver.wait("/ordered", 15)
    keyed_a = [one.event_id for one in received if one.event_id.startswith("a")]
    keyed_b = [one.event_id for one in received if one.event_id.startswith("b")]
    assert keyed_a == [f"a{number}" for number in range(5) for _ in range(2)]
    assert keyed_b == [f"b{number}" for number in range(5)]
    assert received[-1].event_id == "a4"


def test_a_manual_retry_is_one_attempt_besides_the_schedule(
    server: Server, receiver: Receiver
) -> None:
    url = receiver.script("/manual", 500, 500, 200)
    server.subscribe(url, retryPolicy={"schedule": [300]})
    server.publish()
    receiver.wait("/manual", 1)
    delivery_id = only_delivery(server)
    due = server.await_attempts(delivery_id, 1)["nextAttemptAt"]
    assert server.client.post(f"/deliveries/{delivery_id}/retry").status_code == 202
    receiver.wait("/manual", 2)
    delivery = server.await_attempts(delivery_id, 2)
    assert (delivery["status"], delivery["nextAttemptAt"]) == ("pending", due)
    assert server.client.post(f"/deliveries/{delivery_id}/retry").status_code == 202
    assert server.await_delivery(delivery_id, "delivered")["attemptCount"] == 3
