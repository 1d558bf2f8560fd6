"""Replays in bulk: what they cover, counted first, told while they go on."""

from typing import Any

import pytest

from tests.support.api_world import ApiWorld
from tests.support.problems import expect_problem
from tidings.core.timestamp import format_timestamp


async def _history(world: ApiWorld) -> str:
    """A subscription with 2 missed events, 2 delivered, 3 dead letters and 1 unfinished."""
    for _ in range(2):
        await world.publish(eventType="order.missed")
    subscription_id: str = (await world.subscribe(eventType="order.*"))["subscriptionId"]
    for _ in range(2):
        await world.publish(eventType="order.delivered")
    await world.finish(subscription_id, delivered=True)
    for _ in range(3):
        await world.publish(eventType="order.dead")
    await world.finish(subscription_id)
    await world.publish(eventType="order.waiting")
    await world.publish(eventType="user.other")
    return subscription_id


async def _begin(world: ApiWorld, path: str, body: Any) -> Any:
    answer = await world.client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    assert set(answer.json()) == {"replayId", "deliveries"}
    return answer.json()


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({}, 3),
        ({"only": "dead"}, 3),
        ({"only": "missed"}, 2),
        ({"only": "all"}, 5),
        ({"only": "all", "eventType": "order.delivered"}, 2),
        ({"eventType": "user.*"}, 0),
        ({"since": "2999-01-01T00:00:00Z"}, 0),
        ({"until": "2999-01-01T00:00:00Z"}, 3),
    ],
)
async def test_a_replay_of_a_subscription_covers_what_was_asked_for(
    world: ApiWorld, body: dict[str, Any], count: int
) -> None:
    path = f"/webhook-subscriptions/{await _history(world)}/replay"
    dry = await _begin(world, path, body | {"dryRun": True})
    assert dry == {"replayId": None, "deliveries": count}
    begun = await _begin(world, path, body)
    assert begun["deliveries"] == count
    replay = (await world.client.get(f"/replays/{begun['replayId']}")).json()
    assert (replay["status"], replay["deliveries"], replay["done"]) == ("running", count, 0)
    assert replay["only"] == body.get("only", "dead")
    assert replay["eventType"] == body.get("eventType")
    assert (replay["since"], replay["until"]) == (body.get("since"), body.get("until"))
    assert replay["finishedAt"] is None
    done = await world.store.advance_replay(
        begun["replayId"], now_ms=world.clock.now_ms(), limit=100
    )
    assert done.done == count
    replay = (await world.client.get(f"/replays/{begun['replayId']}")).json()
    assert (replay["status"], replay["done"]) == ("finished", count)
    assert replay["finishedAt"] is not None


async def test_dead_letters_are_replayed_over_all_subscriptions(world: ApiWorld) -> None:
    first = await _history(world)
    second = (await world.subscribe())["subscriptionId"]
    await world.publish()
    await world.finish(second)
    for body, count in (
        ({}, 4),
        ({"subscriptionId": first}, 3),
        ({"subscriptionId": second}, 1),
        ({"eventType": "order.dead"}, 3),
        ({"until": format_timestamp(1_000)}, 0),
    ):
        dry = await _begin(world, "/dead-letters/replay", body | {"dryRun": True})
        assert dry["deliveries"] == count, body
    begun = await _begin(world, "/dead-letters/replay", {})
    assert begun["deliveries"] == 4
    replay = (await world.client.get(f"/replays/{begun['replayId']}")).json()
    assert (replay["only"], replay["subscriptionId"]) == ("dead", None)


async def test_a_disabled_subscription_replays_nothing_and_a_paused_one_holds(
    world: ApiWorld,
) -> None:
    subscription_id = await _history(world)
    path = f"/webhook-subscriptions/{subscription_id}"
    await world.client.post(f"{path}/pause")
    assert (await _begin(world, f"{path}/replay", {}))["deliveries"] == 3
    await world.client.post(f"{path}/disable")
    expect_problem(await world.client.post(f"{path}/replay"), 409, "invalid_state")
    named = await world.client.post(
        "/dead-letters/replay", json={"subscriptionId": subscription_id}
    )
    expect_problem(named, 409, "invalid_state")


async def test_an_unknown_subscription_replays_nothing(world: ApiWorld) -> None:
    answer = await world.client.post("/webhook-subscriptions/sub_1/replay")
    expect_problem(answer, 404, "not_found")
    answer = await world.client.post("/dead-letters/replay", json={"subscriptionId": "sub_1"})
    expect_problem(answer, 404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        {"only": "some"},
        {"eventType": "a..b"},
        {"since": "yesterday"},
        {"until": "2026-05-04T12:00:00"},
        {"dryRun": "yes"},
        {"limit": 5},
    ],
)
async def test_a_replay_that_makes_no_sense_is_refused(world: ApiWorld, body: Any) -> None:
    subscription_id = (await world.subscribe())["subscriptionId"]
    for path in (f"/webhook-subscriptions/{subscription_id}/replay", "/dead-letters/replay"):
        problem = expect_problem(await world.client.post(path, json=body), 422, "validation_failed")
        assert [fault["pointer"] for fault in problem["errors"]] == [f"/{name}" for name in body]


async def test_the_tenant_is_named_in_the_body_or_in_the_query(world: ApiWorld) -> None:
    await world.subscribe(tenantId="acme")
    named = {"tenantId": "acme"}
    for place in ("json", "params"):
        options: Any = {place: named}
        begun = (await world.client.post("/dead-letters/replay", **options)).json()
        path = f"/replays/{begun['replayId']}"
        expect_problem(await world.client.get(path), 404, "not_found")
        shown = await world.client.get(path, params={"tenantId": "acme"})
        assert shown.json()["tenantId"] == "acme"
    both = await world.client.post(
        "/dead-letters/replay", json={"tenantId": "acme"}, params={"tenantId": "other"}
    )
    expect_problem(both, 422, "validation_failed")
