"""Content filters over HTTP: given, shown, changed, tried out, and obeyed."""

from typing import Any

import pytest

from tests.support.api_world import EVENT, WISH, ApiWorld
from tests.support.problems import expect_problem

FILTER = {"total": {"$gte": 100}, "customer.country": {"$in": ["DE", "AT"]}}


async def test_only_events_that_pass_make_deliveries(world: ApiWorld) -> None:
    created = await world.subscribe(filter=FILTER)
    assert created["filter"] == FILTER
    passing = await world.publish(data={"total": 120.5, "customer": {"country": "AT"}})
    other = await world.publish(data={"total": 120.5, "customer": {"country": "FR"}})
    assert (passing["deliveries"], other["deliveries"]) == (1, 0)


async def test_a_filter_comes_back_as_it_was_written(world: ApiWorld) -> None:
    text = '{"n" : 1.50,  "big":123456789012345678901234567890, "e":{"$gt":1E2}}'
    body = f'{{"eventType":"*","callbackUrl":"{WISH["callbackUrl"]}","filter":{text}}}'
    answer = await world.client.post("/webhook-subscriptions", content=body, headers=JSON)
    assert answer.status_code == 201
    assert text in answer.text
    path = f"/webhook-subscriptions/{answer.json()['subscriptionId']}"
    assert text in (await world.client.get(path)).text
    assert text in (await world.client.patch(path, json={"description": "new"})).text


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        (5, "/filter"),
        ([], "/filter"),
        ("a", "/filter"),
        ({"a": {"$eq": 1}}, "/filter/a/$eq"),
        ({"$or": [{"a": {"$gt": None}}]}, "/filter/$or/0/a/$gt"),
        ({"a/b": {}}, "/filter/a~1b"),
        ({"a": {"$in": list(range(300))}}, "/filter"),
    ],
)
async def test_a_bad_filter_is_refused_everywhere(
    world: ApiWorld, wanted: Any, pointer: str
) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}"
    for answer in (
        await world.client.post("/webhook-subscriptions", json=WISH | {"filter": wanted}),
        await world.client.patch(path, json={"filter": wanted}),
        await world.client.post(TRY, json={"filter": wanted, "data": {}}),
    ):
        problem = expect_problem(answer, 422, "validation_failed")
        assert [one["pointer"] for one in problem["errors"]] == [pointer]


TRY = "/webhook-subscriptions/test-filter"


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        (None, FILTER, FILTER),
        (FILTER, None, None),
        (FILTER, {"total": {"$lt": 500}}, FILTER | {"total": {"$gte": 100, "$lt": 500}}),
        (FILTER, {"total": None}, {"customer.country": {"$in": ["DE", "AT"]}}),
        (FILTER, {"total": None, "customer.country": None, "a": 1}, {"a": 1}),
        ({"a": {"$in": [1]}}, {"a": {"$in": [None, 2]}}, {"a": {"$in": [None, 2]}}),
    ],
)
async def test_a_patch_is_merged_into_the_filter(
    world: ApiWorld, before: Any, patch: Any, after: Any
) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe(filter=before))['subscriptionId']}"
    answer = await world.client.patch(path, json={"filter": patch})
    assert answer.json()["filter"] == after == (await world.client.get(path)).json()["filter"]


async def test_a_null_that_removes_nothing_is_refused_because_it_was_meant_otherwise(
    world: ApiWorld,
) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe(filter={'a': 1}))['subscriptionId']}"
    answer = await world.client.patch(path, json={"filter": {"b": {"c/d": None}}})
    problem = expect_problem(answer, 422, "validation_failed")
    assert [one["pointer"] for one in problem["errors"]] == ["/filter/b/c~1d"]


@pytest.mark.parametrize(("total", "matches"), [(120, True), (5, False), ("120", False)])
async def test_a_filter_can_be_tried_out(world: ApiWorld, total: Any, matches: bool) -> None:
    body = {"filter": {"total": {"$gt": 100}}, "data": {"total": total}}
    answer = await world.client.post(TRY, json=body)
    assert (answer.status_code, answer.json()) == (200, {"matches": matches})


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"filter": {}}, "/data"),
        ({"data": {}}, "/filter"),
        ({"filter": {}, "data": []}, "/data"),
        ({"filter": None, "data": {}}, "/filter"),
        ({"filter": {}, "data": {}, "more": 1}, "/more"),
    ],
)
async def test_a_trial_needs_a_filter_and_data(world: ApiWorld, body: Any, pointer: str) -> None:
    problem = expect_problem(await world.client.post(TRY, json=body), 422, "validation_failed")
    assert [one["pointer"] for one in problem["errors"]] == [pointer]


async def test_a_test_event_ignores_the_filter(world: ApiWorld) -> None:
    created = await world.subscribe(filter={"a": 1})
    path = f"/webhook-subscriptions/{created['subscriptionId']}/test"
    answer = await world.client.post(path, json={"data": EVENT["data"]})
    assert answer.json()["outcome"] == "delivered"
