"""Deliveries and dead letters: shown, retried, cancelled, replayed, discarded."""

from typing import Any

import pytest

from tests.support.api_world import ApiWorld
from tests.support.problems import expect_problem
from tidings.core.identifier import id_made_at_ms
from tidings.core.timestamp import format_timestamp


async def _delivery(world: ApiWorld, *, ended: str = "") -> tuple[str, str]:
    """A delivery, finished if asked for; answers its subscription's id and its own."""
    subscription_id = (await world.subscribe())["subscriptionId"]
    await world.publish()
    (delivery,) = await world.deliveries(subscriptionId=subscription_id)
    if ended:
        await world.finish(subscription_id, delivered=ended == "delivered")
    return subscription_id, delivery["deliveryId"]


async def _shown(world: ApiWorld, delivery_id: str) -> Any:
    answer = await world.client.get(f"/deliveries/{delivery_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_pending_delivery_is_shown(world: ApiWorld) -> None:
    subscription_id = (await world.subscribe())["subscriptionId"]
    event = await world.publish()
    (listed,) = await world.deliveries()
    assert listed == {
        "deliveryId": listed["deliveryId"],
        "tenantId": "default",
        "eventId": event["eventId"],
        "eventType": "order.shipped",
        "subscriptionId": subscription_id,
        "status": "pending",
        "attemptCount": 0,
        "replayCount": 0,
        "nextAttemptAt": None,
        "createdAt": format_timestamp(id_made_at_ms(listed["deliveryId"])),
        "finishedAt": None,
        "deadLetterReason": None,
    }
    assert await _shown(world, listed["deliveryId"]) == listed | {"attempts": []}


async def test_a_dead_letter_is_shown_with_its_attempts_and_nothing_secret(
    world: ApiWorld,
) -> None:
    _, delivery_id = await _delivery(world, ended="dead")
    shown = await _shown(world, delivery_id)
    assert shown["status"] == "dead_lettered"
    assert shown["deadLetterReason"] == "attempts_exhausted"
    assert shown["finishedAt"] is not None
    assert shown["attemptCount"] == 1
    (attempt,) = shown["attempts"]
    assert attempt["attemptId"].startswith("att_")
    assert (attempt["number"], attempt["durationMs"]) == (1, 7)
    assert (attempt["outcome"], attempt["statusCode"]) == ("failed", 500)
    headers = attempt["requestHeaders"]
    assert headers["webhook-id"] == shown["eventId"]
    assert headers["webhook-timestamp"].isdigit()
    assert headers["webhook-signature"] == headers["X-Token"] == "[hidden]"
    assert attempt["responseHeaders"] == {"content-type": "text/plain", "set-cookie": "[hidden]"}


async def test_deliveries_are_listed_newest_first_and_can_be_narrowed(world: ApiWorld) -> None:
    first, dead = await _delivery(world, ended="dead")
    world.clock.ahead_ms += 2_000
    moment = format_timestamp(world.clock.now_ms() - 1_000)
    event = await world.publish()

    async def listed(path: str = "/deliveries", **parameters: str) -> list[str]:
        answer = await world.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return [one["deliveryId"] for one in answer.json()["items"]]

    pending, last = await listed()
    assert last == dead
    assert await listed(status="pending") == [pending]
    assert await listed(status="dead_lettered") == [dead]
    assert await listed(status="delivered") == []
    assert await listed(subscriptionId=first) == [pending, dead]
    assert await listed(subscriptionId="sub_1") == []
    assert await listed(eventId=event["eventId"]) == [pending]
    assert await listed(since=moment) == [pending]
    assert await listed(until=moment) == [dead]
    assert await listed("/dead-letters") == [dead]
    assert await listed("/dead-letters", since=moment) == []
    assert await listed("/dead-letters", status="dead_lettered") == [dead]
    assert await listed("/dead-letters", status="pending") == []
    own = f"/webhook-subscriptions/{first}/deliveries"
    assert await listed(own) == [pending, dead]
    assert await listed(own, status="pending") == [pending]


async def test_the_deliveries_of_an_unknown_subscription_are_not_found(world: ApiWorld) -> None:
    answer = await world.client.get("/webhook-subscriptions/sub_1/deliveries")
    expect_problem(answer, 404, "not_found")


async def test_a_pending_delivery_is_tried_once_more_on_demand(world: ApiWorld) -> None:
    _, delivery_id = await _delivery(world)
    answer = await world.client.post(f"/deliveries/{delivery_id}/retry")
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["replayCount"]) == ("pending", 0)
    assert answer.json()["nextAttemptAt"] is not None


@pytest.mark.parametrize("ended", ["dead", "delivered"])
async def test_a_finished_delivery_gets_another_round_by_a_retry(
    world: ApiWorld, ended: str
) -> None:
    _, delivery_id = await _delivery(world, ended=ended)
    answer = await world.client.post(f"/deliveries/{delivery_id}/retry")
    assert answer.status_code == 202
    again = answer.json()
    assert (again["status"], again["replayCount"], again["attemptCount"]) == ("pending", 1, 1)


async def test_no_second_attempt_begins_while_one_is_on_its_way(world: ApiWorld) -> None:
    _, delivery_id = await _delivery(world)
    world.in_flight.add(delivery_id)
    answer = await world.client.post(f"/deliveries/{delivery_id}/retry")
    expect_problem(answer, 409, "attempt_in_flight")


async def test_a_cancelled_delivery_stays_cancelled(world: ApiWorld) -> None:
    _, delivery_id = await _delivery(world)
    answer = await world.client.post(f"/deliveries/{delivery_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    for action in ("cancel", "retry"):
        answer = await world.client.post(f"/deliveries/{delivery_id}/{action}")
        expect_problem(answer, 409, "invalid_state")
    assert (await _shown(world, delivery_id))["status"] == "cancelled"


async def test_nothing_is_sent_to_a_paused_or_disabled_subscription_on_demand(
    world: ApiWorld,
) -> None:
    subscription_id, delivery_id = await _delivery(world)
    for action in ("pause", "disable"):
        await world.client.post(f"/webhook-subscriptions/{subscription_id}/{action}")
        answer = await world.client.post(f"/deliveries/{delivery_id}/retry")
        expect_problem(answer, 409, "invalid_state")


async def test_a_dead_letter_is_replayed_with_the_whole_schedule(world: ApiWorld) -> None:
    _, delivery_id = await _delivery(world, ended="dead")
    answer = await world.client.post(f"/dead-letters/{delivery_id}/replay")
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["replayCount"]) == ("pending", 1)
    again = await world.client.post(f"/dead-letters/{delivery_id}/replay")
    expect_problem(again, 404, "not_found")


async def test_a_dead_letter_of_a_disabled_subscription_waits_for_its_resume(
    world: ApiWorld,
) -> None:
    subscription_id, delivery_id = await _delivery(world, ended="dead")
    await world.client.post(f"/webhook-subscriptions/{subscription_id}/disable")
    answer = await world.client.post(f"/dead-letters/{delivery_id}/replay")
    expect_problem(answer, 409, "invalid_state")
    await world.client.post(f"/webhook-subscriptions/{subscription_id}/resume")
    answer = await world.client.post(f"/dead-letters/{delivery_id}/replay")
    assert answer.status_code == 202


async def test_a_discarded_dead_letter_keeps_its_history(world: ApiWorld) -> None:
    _, delivery_id = await _delivery(world, ended="dead")
    assert (await world.client.delete(f"/dead-letters/{delivery_id}")).status_code == 204
    shown = await _shown(world, delivery_id)
    assert (shown["status"], len(shown["attempts"])) == ("cancelled", 1)
    for answer in (
        await world.client.delete(f"/dead-letters/{delivery_id}"),
        await world.client.post(f"/dead-letters/{delivery_id}/replay"),
    ):
        expect_problem(answer, 404, "not_found")


@pytest.mark.parametrize("ended", ["", "delivered"])
async def test_what_is_no_dead_letter_is_not_found_among_them(world: ApiWorld, ended: str) -> None:
    _, delivery_id = await _delivery(world, ended=ended)
    path = f"/dead-letters/{delivery_id}"
    expect_problem(await world.client.delete(path), 404, "not_found")
    expect_problem(await world.client.post(f"{path}/replay"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/deliveries/{}"),
        ("POST", "/deliveries/{}/retry"),
        ("POST", "/deliveries/{}/cancel"),
        ("POST", "/dead-letters/{}/replay"),
        ("DELETE", "/dead-letters/{}"),
        ("GET", "/replays/{}"),
        ("DELETE", "/api-keys/{}"),
        ("DELETE", "/tenants/{}"),
        ("GET", "/webhook-subscriptions/{}"),
    ],
)
@pytest.mark.parametrize("unknown", ["unknown", "dlv_1", "x" * 500, "ä", "%00", "a b", "*", "%ff"])
async def test_an_unknown_id_of_any_shape_is_not_found(
    world: ApiWorld, method: str, path: str, unknown: str
) -> None:
    expect_problem(await world.client.request(method, path.format(unknown)), 404, "not_found")
