"""Changing a subscription: merge patches, and ETags against lost updates."""

from typing import Any

import pytest

from tests.api.test_subscriptions import FULL
from tests.support.api_world import WISH, ApiWorld
from tests.support.problems import expect_problem

MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


async def _patched(world: ApiWorld, patch: dict[str, Any], **members: Any) -> Any:
    created = await world.subscribe(**members)
    path = f"/webhook-subscriptions/{created['subscriptionId']}"
    answer = await world.client.patch(path, json=patch)
    assert answer.status_code == 200, answer.text
    assert answer.json() == (await world.client.get(path)).json()
    return answer.json()


PATCHABLE = {name: value for name, value in FULL.items() if name not in ("secret", "tenantId")}


@pytest.mark.parametrize("name", sorted(set(PATCHABLE) - {"headers"}))
async def test_what_is_given_replaces_and_the_rest_stays(world: ApiWorld, name: str) -> None:
    before = await world.subscribe()
    changed = await _patched(world, {name: PATCHABLE[name]})
    assert changed[name] == PATCHABLE[name]
    for other in set(changed) - {name, "subscriptionId", "createdAt", "updatedAt"}:
        assert changed[other] == before[other]


@pytest.mark.parametrize("name", sorted(set(PATCHABLE) - {"eventType", "callbackUrl"}))
async def test_null_restores_the_default(world: ApiWorld, name: str) -> None:
    plain = await world.subscribe()
    members = {other: value for other, value in FULL.items() if other != "tenantId"}
    changed = await _patched(world, {name: None}, **members)
    shown = "headerNames" if name == "headers" else name
    assert changed[shown] == plain[shown]


@pytest.mark.parametrize(
    "patch",
    [
        {"eventType": None},
        {"callbackUrl": None},
        {"secret": "whsec_abc123"},
        {"status": "paused"},
        {"tenantId": "other"},
        {"subscriptionId": "sub_1"},
        {"timeoutSeconds": "1"},
        {"retryPolicy": {"schedule": [0]}},
        {"metadata": {"a": 1}},
        [],
        5,
    ],
)
async def test_what_cannot_be_changed_is_refused(world: ApiWorld, patch: Any) -> None:
    created = await world.subscribe()
    path = f"/webhook-subscriptions/{created['subscriptionId']}"
    expect_problem(await world.client.patch(path, json=patch), 422, "validation_failed")
    assert (await world.client.get(path)).json()["updatedAt"] == created["updatedAt"]


async def test_a_patch_may_be_declared_as_one(world: ApiWorld) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}"
    answer = await world.client.patch(path, content=b'{"description":"x"}', headers=MERGE_PATCH)
    assert answer.json()["description"] == "x"


async def test_metadata_and_headers_are_merged_by_name(world: ApiWorld) -> None:
    changed = await _patched(
        world,
        {"metadata": {"a": None, "c": "3"}, "headers": {"X-A": None, "X-C": "3"}},
        metadata={"a": "1", "b": "2"},
        headers={"X-A": "1", "X-B": "2"},
    )
    assert changed["metadata"] == {"b": "2", "c": "3"}
    assert changed["headerNames"] == ["X-B", "X-C"]


async def test_another_url_drops_the_headers_unless_they_are_given_again(world: ApiWorld) -> None:
    url = "https://other.example.com/"
    headers = {"X-Token": "secret of the first receiver"}
    assert (await _patched(world, {"callbackUrl": url}, headers=headers))["headerNames"] == []
    again = {"callbackUrl": url, "headers": {"X-Other": "1"}}
    assert (await _patched(world, again, headers=headers))["headerNames"] == ["X-Other"]
    same = {"callbackUrl": WISH["callbackUrl"]}
    assert (await _patched(world, same, headers=headers))["headerNames"] == ["X-Token"]


async def test_another_url_is_judged_like_the_first(world: ApiWorld) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}"
    answer = await world.client.patch(path, json={"callbackUrl": "https://10.0.0.1/"})
    expect_problem(answer, 422, "callback_url_refused")


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        ({"schedule": [1, 2]}, {"schedule": []}, {"schedule": []}),
        (
            {"schedule": [1]},
            {"initialSeconds": 1, "factor": 2, "maxSeconds": 3, "maxAttempts": 4},
            {"initialSeconds": 1, "factor": 2, "maxSeconds": 3, "maxAttempts": 4},
        ),
        (
            {"initialSeconds": 1, "factor": 2, "maxSeconds": 3, "maxAttempts": 4},
            {"maxAttempts": 5},
            {"initialSeconds": 1, "factor": 2, "maxSeconds": 3, "maxAttempts": 5},
        ),
        (
            {"initialSeconds": 1, "factor": 2, "maxSeconds": 3, "maxAttempts": 4},
            {"schedule": [0.5]},
            {"schedule": [0.5]},
        ),
    ],
)
async def test_retry_policies_are_merged_within_their_form(
    world: ApiWorld, before: Any, patch: Any, after: Any
) -> None:
    changed = await _patched(world, {"retryPolicy": patch}, retryPolicy=before)
    assert changed["retryPolicy"] == after


async def test_a_policy_that_is_incomplete_after_the_patch_is_refused(world: ApiWorld) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}"
    answer = await world.client.patch(path, json={"retryPolicy": {"maxAttempts": 3}})
    problem = expect_problem(answer, 422, "validation_failed")
    assert problem["errors"][0]["pointer"] == "/retryPolicy"


async def test_a_patch_that_changes_nothing_is_no_new_version(world: ApiWorld) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}"
    before = await world.client.get(path)
    world.clock.ahead_ms += 1_000
    for patch in ({}, {"eventType": "order.shipped", "description": None, "filter": None}):
        answer = await world.client.patch(path, json=patch)
        assert answer.json() == before.json()
        assert answer.headers["etag"] == before.headers["etag"]


async def test_a_change_can_be_bound_to_what_was_read(world: ApiWorld) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}"
    etag = (await world.client.get(path)).headers["etag"]
    patch: Any = {"description": "mine"}
    for accepted in (f'"other", {etag}', "*"):
        answer = await world.client.patch(path, json=patch, headers={"If-Match": accepted})
        assert answer.status_code == 200
        assert answer.headers["etag"] != etag
        patch = {"description": "mine again"}
    present = (await world.client.get(path)).headers["etag"]
    for refused in (etag, '"other"', f"W/{present}", "nonsense", '""'):
        answer = await world.client.patch(path, json={}, headers={"If-Match": refused})
        expect_problem(answer, 412, "precondition_failed")
        deleted = await world.client.delete(path, headers={"If-Match": refused})
        expect_problem(deleted, 412, "precondition_failed")
    deleted = await world.client.delete(path, headers={"If-Match": present})
    assert deleted.status_code == 204
