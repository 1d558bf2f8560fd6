"""Webhook subscriptions: created, listed, switched between their states, deleted."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.api_world import PUBLIC_URL, WISH, ApiWorld
from tests.support.problems import expect_problem
from tidings.core.subscription import Status, Subscription
from tidings.core.timestamp import format_timestamp


async def test_a_subscription_is_answered_with_its_defaults(world: ApiWorld) -> None:
    created = await world.subscribe()
    for name in ("secret", "standardWebhooksSecret", "subscriptionId", "createdAt", "updatedAt"):
        del created[name]
    assert created == {
        "tenantId": "default",
        "eventType": "order.shipped",
        "callbackUrl": "https://client.example.com/webhooks/order-shipped",
        "status": "active",
        "disabledReason": None,
        "health": "healthy",
        "description": None,
        "filter": None,
        "headerNames": [],
        "payloadFormat": "tidings",
        "thinAboveBytes": None,
        "orderingEnabled": False,
        "retryPolicy": {"schedule": [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]},
        "rateLimitPerSecond": None,
        "timeoutSeconds": 15,
        "metadata": {},
        "verifiedAt": None,
    }


FULL = WISH | {
    "eventType": "order.*, payment.failed ,*",
    "description": "Orders, for the warehouse — ünïcode",
    "filter": {"total": {"$gte": 1.50}, "$or": [{"a.b": None}, {"c": {"$in": ["ü", True]}}]},
    "headers": {"X-Token": "t0ken-v4lue", "x-other": "two words"},
    "payloadFormat": "cloudevents",
    "thinAboveBytes": 65_536,
    "orderingEnabled": True,
    "retryPolicy": {"initialSeconds": 1, "factor": 2.5, "maxSeconds": 60, "maxAttempts": 3},
    "rateLimitPerSecond": 0.5,
    "timeoutSeconds": 30,
    "metadata": {"any_key": "kept as it is", "Other": ""},
    "tenantId": "acme",
}


async def test_everything_given_is_answered_in_the_form_given(world: ApiWorld) -> None:
    created = await world.subscribe(**FULL)
    shown = (
        await world.client.get(
            f"/webhook-subscriptions/{created['subscriptionId']}", params={"tenantId": "acme"}
        )
    ).json()
    for name in set(FULL) - {"headers", "secret"}:
        assert shown[name] == created[name] == FULL[name]
    assert shown["headerNames"] == ["X-Token", "x-other"]
    assert "headers" not in shown


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"eventType": ""}, "/eventType"),
        ({"eventType": "a..b"}, "/eventType"),
        ({"eventType": "a*"}, "/eventType"),
        ({"eventType": ",".join(["a"] * 21)}, "/eventType"),
        ({"eventType": ["a"]}, "/eventType"),
        ({"callbackUrl": 5}, "/callbackUrl"),
        ({"secret": "short"}, "/secret"),
        ({"secret": "has a space"}, "/secret"),
        ({"secret": "whsec_" + "AAAA" * 4}, "/secret"),
        ({"secret": "x" * 257}, "/secret"),
        ({"description": "x" * 1_001}, "/description"),
        ({"headers": {"Host": "example.com"}}, "/headers/Host"),
        ({"headers": {"X-A": "a\r\nb"}}, "/headers/X-A"),
        ({"headers": {"X A": "a"}}, "/headers/X A"),
        ({"headers": {f"X-{n}": "a" for n in range(21)}}, "/headers"),
        ({"headers": {"X-A": 5}}, "/headers"),
        ({"headers": []}, "/headers"),
        ({"payloadFormat": "xml"}, "/payloadFormat"),
        ({"orderingEnabled": 1}, "/orderingEnabled"),
        ({"retryPolicy": {}}, "/retryPolicy"),
        ({"retryPolicy": {"schedule": [0]}}, "/retryPolicy/schedule/0"),
        ({"retryPolicy": {"schedule": [604_801]}}, "/retryPolicy/schedule/0"),
        ({"retryPolicy": {"schedule": [1] * 21}}, "/retryPolicy/schedule"),
        ({"retryPolicy": {"schedule": [True]}}, "/retryPolicy/schedule/0"),
        ({"retryPolicy": {"schedule": [1], "factor": 2}}, "/retryPolicy"),
        ({"retryPolicy": {"initialSeconds": 1, "factor": 2}}, "/retryPolicy"),
        ({"retryPolicy": {"forever": True}}, "/retryPolicy/forever"),
        ({"rateLimitPerSecond": 0}, "/rateLimitPerSecond"),
        ({"rateLimitPerSecond": "1"}, "/rateLimitPerSecond"),
        ({"timeoutSeconds": 0}, "/timeoutSeconds"),
        ({"timeoutSeconds": 31}, "/timeoutSeconds"),
        ({"timeoutSeconds": 1.5}, "/timeoutSeconds"),
        ({"metadata": {"a": 1}}, "/metadata"),
        ({"thinAboveBytes": -1}, "/thinAboveBytes"),
        ({"thinAboveBytes": 1.5}, "/thinAboveBytes"),
        ({"metadata": {"": "a"}}, "/metadata"),
        ({"metadata": {str(n): "a" for n in range(51)}}, "/metadata"),
        ({"tenantId": "a/b"}, "/tenantId"),
        ({"status": "paused"}, "/status"),
        ({"subscriptionId": "sub_1"}, "/subscriptionId"),
    ],
)
async def test_what_is_wrong_is_pointed_at(
    world: ApiWorld, members: dict[str, Any], pointer: str
) -> None:
    answer = await world.client.post("/webhook-subscriptions", json=WISH | members)
    problem = expect_problem(answer, 422, "validation_failed")
    assert [one["pointer"] for one in problem["errors"]] == [pointer]


@pytest.mark.parametrize(
    "url",
    [
        "http://client.example.com/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://user@client.example.com/",
        "https://client.example.com/#part",
        "ftp://client.example.com/",
        "nonsense",
        "",
        "https://ünïcode.example/",
    ],
)
async def test_urls_that_are_never_called_are_refused(world: ApiWorld, url: str) -> None:
    answer = await world.client.post("/webhook-subscriptions", json=WISH | {"callbackUrl": url})
    problem = expect_problem(answer, 422, "callback_url_refused")
    assert [one["pointer"] for one in problem["errors"]] == ["/callbackUrl"]


async def test_null_means_the_default(world: ApiWorld) -> None:
    names = set(FULL) - {"eventType", "callbackUrl", "tenantId"}
    created = await world.subscribe(**dict.fromkeys(names))
    plain = await world.subscribe()
    for name in set(created) - {"subscriptionId", "secret", "standardWebhooksSecret"}:
        if not name.endswith("At"):
            assert created[name] == plain[name]


async def test_lists_are_newest_first_and_can_be_narrowed(world: ApiWorld) -> None:
    ids = []
    for event_type in ("a", "a,b", "b"):
        created = await world.subscribe(eventType=event_type)
        ids.append(created["subscriptionId"])
        world.clock.ahead_ms += 1_000
    await world.client.post(f"/webhook-subscriptions/{ids[0]}/pause")
    moment = format_timestamp(world.clock.now_ms() - 1_500)

    async def listed(**parameters: str) -> list[str]:
        answer = await world.client.get("/webhook-subscriptions", params=parameters)
        assert answer.status_code == 200, answer.text
        return [one["subscriptionId"] for one in answer.json()["items"]]

    assert await listed() == ids[::-1]
    assert await listed(eventType="a") == [ids[0]]
    assert await listed(eventType="a,b") == [ids[1]]
    assert await listed(status="paused") == [ids[0]]
    assert await listed(status="disabled") == []
    assert await listed(since=moment) == [ids[2]]
    assert await listed(until=moment) == [ids[1], ids[0]]


async def test_a_deleted_subscription_is_gone(world: ApiWorld) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}"
    await world.publish()
    assert (await world.client.delete(path)).status_code == 204
    for method, call in (
        ("GET", path),
        ("DELETE", path),
        ("PATCH", path),
        ("POST", f"{path}/pause"),
        ("POST", f"{path}/rotate-secret"),
        ("GET", f"{path}/secret"),
    ):
        body: Any = {"json": {}} if method == "PATCH" else {}
        expect_problem(await world.client.request(method, call, **body), 404, "not_found")
    assert (await world.client.get("/webhook-subscriptions")).json()["items"] == []
    assert len(await world.deliveries()) == 1


STATES = {
    ("active", "pause"): "paused",
    ("active", "resume"): "active",
    ("active", "disable"): "disabled",
    ("active", "verify"): "active",
    ("paused", "pause"): "paused",
    ("paused", "resume"): "active",
    ("paused", "disable"): "disabled",
    ("paused", "verify"): None,
    ("disabled", "pause"): None,
    ("disabled", "resume"): "active",
    ("disabled", "disable"): "disabled",
    ("disabled", "verify"): None,
    ("pending_verification", "pause"): None,
    ("pending_verification", "resume"): None,
    ("pending_verification", "disable"): "disabled",
    ("pending_verification", "verify"): "active",
}


@pytest.mark.parametrize(("before", "action"), STATES)
async def test_states_change_as_the_table_has_it(world: ApiWorld, before: str, action: str) -> None:
    created = await world.subscribe()
    subscription_id = created["subscriptionId"]

    def put(old: Subscription) -> Subscription:
        members = {name: getattr(old, name) for name in old.__slots__}
        return Subscription(**members | {"status": Status(before), "version": 7})

    await world.store.change_subscription("default", subscription_id, put)
    answer = await world.client.post(f"/webhook-subscriptions/{subscription_id}/{action}")
    after = STATES[before, action]
    if after is None:
        expect_problem(answer, 409, "invalid_state")
        return
    assert answer.status_code == 200
    assert answer.json()["status"] == after
    is_same = before == after
    assert answer.headers["etag"] == f'"{subscription_id}.{7 if is_same else 8}"'
    reason = "operator" if after == "disabled" and not is_same else None
    assert answer.json()["disabledReason"] == reason


async def test_a_test_event_is_sent_and_not_stored(world: ApiWorld) -> None:
    subscription_id = (await world.subscribe())["subscriptionId"]
    path = f"/webhook-subscriptions/{subscription_id}/test"
    answer = await world.client.post(path)
    assert answer.status_code == 200
    attempt = answer.json()
    assert (attempt["outcome"], attempt["statusCode"]) == ("delivered", 200)
    subscription, event_id, body = world.trials_sent[0]
    assert subscription.subscription_id == subscription_id
    assert b'"eventType":"tidings.test"' in body
    assert body.endswith(b'"data":{}}')
    assert attempt["requestHeaders"]["webhook-id"] == event_id
    expect_problem(await world.client.get(f"/events/{event_id}"), 404, "not_found")
    body_given = {"eventType": "order.shipped", "data": {"a": [1.0]}}
    assert (await world.client.post(path, json=body_given)).status_code == 200
    sent = world.trials_sent[1][2]
    assert b'"eventType":"order.shipped"' in sent
    assert sent.endswith(b'"data":{"a":[1.0]}}')


@pytest.mark.parametrize("body", [{"eventType": "tidings.other"}, {"data": []}, {"data": None}])
async def test_a_test_event_is_an_event(world: ApiWorld, body: Any) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}/test"
    expect_problem(await world.client.post(path, json=body), 422, "validation_failed")
    assert world.trials_sent == []


async def test_a_test_event_is_sent_while_paused_and_not_while_disabled(world: ApiWorld) -> None:
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}"
    await world.client.post(f"{path}/pause")
    assert (await world.client.post(f"{path}/test")).status_code == 200
    await world.client.post(f"{path}/disable")
    expect_problem(await world.client.post(f"{path}/test"), 409, "invalid_state")


async def test_a_repeated_creation_gets_the_same_answer(world: ApiWorld) -> None:
    wish = {name: WISH[name] for name in ("eventType", "callbackUrl")}
    answers = [
        await world.client.post(
            "/webhook-subscriptions", json=wish, headers={"Idempotency-Key": key}
        )
        for key in ("key-1", '"key-1"')
    ]
    assert answers[0].content == answers[1].content
    assert answers[0].headers == answers[1].headers
    subscription_id = answers[0].json()["subscriptionId"]
    assert answers[1].headers["location"].startswith(PUBLIC_URL)
    assert answers[1].headers["etag"] == f'"{subscription_id}.1"'
    other = await world.client.post(
        "/webhook-subscriptions", json=WISH, headers={"Idempotency-Key": "key-1"}
    )
    expect_problem(other, 422, "idempotency_key_reused")
    assert len((await world.client.get("/webhook-subscriptions")).json()["items"]) == 1
    world.clock.ahead_ms += 24 * 3_600_000
    later = await world.client.post(
        "/webhook-subscriptions", json=WISH, headers={"Idempotency-Key": "key-1"}
    )
    assert later.status_code == 201


async def test_a_tenant_may_have_only_so_many(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = world.services.subscriptions._rules
    monkeypatch.setattr(
        world.services.subscriptions,
        "_rules",
        type(rules)(rules.addresses, rules.secrets, subscriptions_max=1),
    )
    await world.subscribe()
    answer = await world.client.post("/webhook-subscriptions", json=WISH)
    expect_problem(answer, 429, "quota_exceeded")
    assert "retry-after" not in answer.headers  # time does not help
    await world.subscribe(tenantId="other")


async def test_a_program_that_subscribes_at_each_start_is_stopped(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    verbs = world.services.subscriptions
    rules = replace(verbs._rules, equal_subscriptions_max=2)
    monkeypatch.setattr(verbs, "_rules", rules)
    for _ in range(2):
        await world.subscribe()
    answer = await world.client.post("/webhook-subscriptions", json=WISH)
    expect_problem(answer, 429, "quota_exceeded")
    other = await world.subscribe(eventType="order.other")
    path = f"/webhook-subscriptions/{other['subscriptionId']}"
    changed = await world.client.patch(path, json={"eventType": WISH["eventType"]})
    expect_problem(changed, 429, "quota_exceeded")
    assert (await world.client.get(path)).json()["eventType"] == "order.other"
    assert (await world.publish())["deliveries"] == 2
