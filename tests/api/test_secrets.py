"""Signing secrets: where they are shown, how they are rotated, and that they are nowhere else."""

import base64
import logging
from typing import Any
from urllib.parse import quote

import pytest
from standardwebhooks import Webhook

from tests.support.api_world import EVENT, WISH, ApiWorld
from tidings.core import limits
from tidings.core.timestamp import timestamp_ms
from tidings.signing import key_of_secret


def _path(subscription: Any, part: str = "") -> str:
    return f"/webhook-subscriptions/{subscription['subscriptionId']}{part}"


async def _live(world: ApiWorld, subscription: Any) -> list[Any]:
    answer = await world.client.get(_path(subscription, "/secret"))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"secrets"}
    secrets: list[Any] = answer.json()["secrets"]
    return secrets


async def test_a_plain_secret_comes_with_its_standard_form(world: ApiWorld) -> None:
    answer = await world.client.post("/webhook-subscriptions", json=WISH)
    assert answer.headers["cache-control"] == "no-store"
    created = answer.json()
    assert created["secret"] == "whsec_abc123"
    standard = created["standardWebhooksSecret"]
    assert base64.b64decode(standard.removeprefix("whsec_")) == b"whsec_abc123"
    Webhook(standard)


async def test_a_secret_of_ours_is_strong_and_its_own_standard_form(world: ApiWorld) -> None:
    secrets = {(await world.subscribe(secret=None))["secret"] for _ in range(3)}
    assert len(secrets) == 3
    assert {len(key_of_secret(secret)) for secret in secrets} == {32}
    created = await world.subscribe(secret=None)
    assert created["standardWebhooksSecret"] == created["secret"]


async def test_live_secrets_are_shown_newest_first(world: ApiWorld) -> None:
    created = await world.subscribe()
    (only,) = await _live(world, created)
    assert only == {
        "secret": "whsec_abc123",
        "standardWebhooksSecret": created["standardWebhooksSecret"],
        "createdAt": created["createdAt"],
        "expiresAt": None,
    }
    rotated = await world.client.post(_path(created, "/rotate-secret"))
    assert rotated.status_code == 200
    assert rotated.headers["cache-control"] == "no-store"
    answer = rotated.json()
    assert set(answer) == {"secret", "standardWebhooksSecret", "previousExpireAt"}
    ends_at_ms = timestamp_ms(answer["previousExpireAt"])
    assert ends_at_ms is not None
    expected_ms = world.clock.now_ms() + limits.SECRET_OVERLAP_SECONDS_DEFAULT * 1_000
    assert abs(ends_at_ms - expected_ms) < 10_000
    newest, previous = await _live(world, created)
    assert (newest["secret"], newest["expiresAt"]) == (answer["secret"], None)
    assert previous["secret"] == "whsec_abc123"
    assert previous["expiresAt"] == answer["previousExpireAt"]
    world.clock.ahead_ms += limits.SECRET_OVERLAP_SECONDS_DEFAULT * 1_000
    assert [one["secret"] for one in await _live(world, created)] == [answer["secret"]]


async def test_without_overlap_all_previous_secrets_end_at_once(world: ApiWorld) -> None:
    created = await world.subscribe()
    for _ in range(3):
        await world.client.post(_path(created, "/rotate-secret"))
    body = {"secret": "my-own-secret", "overlapSeconds": 0}
    answer = await world.client.post(_path(created, "/rotate-secret"), json=body)
    assert answer.json()["secret"] == "my-own-secret"
    assert [one["secret"] for one in await _live(world, created)] == ["my-own-secret"]


async def test_a_sixth_live_secret_is_refused(world: ApiWorld) -> None:
    created = await world.subscribe()
    path = _path(created, "/rotate-secret")
    for _ in range(limits.LIVE_SECRETS_MAX - 1):
        assert (await world.client.post(path)).status_code == 200
    answer = await world.client.post(path)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_secrets")
    assert len(await _live(world, created)) == limits.LIVE_SECRETS_MAX
    world.clock.ahead_ms += limits.SECRET_OVERLAP_SECONDS_DEFAULT * 1_000
    assert (await world.client.post(path)).status_code == 200


async def test_an_overlap_never_makes_a_secret_live_longer(world: ApiWorld) -> None:
    created = await world.subscribe()
    path = _path(created, "/rotate-secret")
    await world.client.post(path, json={"overlapSeconds": 60})
    await world.client.post(path, json={"overlapSeconds": 3_600})
    _, second, first = await _live(world, created)
    assert first["expiresAt"] < second["expiresAt"]


@pytest.mark.parametrize(
    "body",
    [
        {"secret": "short"},
        {"secret": "whsec_AAAA"},
        {"overlapSeconds": -1},
        {"overlapSeconds": limits.SECRET_OVERLAP_SECONDS_MAX + 1},
        {"overlapSeconds": "0"},
        {"overlap": 0},
    ],
)
async def test_an_unusable_rotation_is_refused(world: ApiWorld, body: Any) -> None:
    created = await world.subscribe()
    answer = await world.client.post(_path(created, "/rotate-secret"), json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert "short" not in answer.text
    assert len(await _live(world, created)) == 1


async def test_a_rotation_is_a_new_version(world: ApiWorld) -> None:
    created = await world.subscribe()
    await world.client.post(_path(created, "/rotate-secret"))
    answer = await world.client.get(_path(created))
    assert answer.headers["etag"] == f'"{created["subscriptionId"]}.2"'


async def test_secrets_stand_in_no_other_answer_in_any_encoding(
    world: ApiWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret, token = "plain-Secret+with/marks", "t0ken-of-the-receiver"
    created = await world.subscribe(secret=secret, headers={"X-Token": token})
    event = await world.publish()
    (delivery_id,) = await world.finish(created["subscriptionId"])
    texts = [caplog.text]
    for method, path in (
        ("GET", _path(created)),
        ("PATCH", _path(created)),
        ("POST", _path(created, "/pause")),
        ("POST", _path(created, "/resume")),
        ("GET", "/webhook-subscriptions"),
        ("GET", f"/events/{event['eventId']}"),
        ("GET", f"/deliveries/{delivery_id}"),
        ("GET", "/dead-letters"),
        ("POST", _path(created, "/test")),
        ("GET", "/api-keys"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
    ):
        body: Any = {"json": {"description": "x"}} if method == "PATCH" else {}
        answer = await world.client.request(method, path, **body)
        assert answer.status_code == 200
        texts += [answer.text, str(answer.headers)]
    for hidden in (secret, token):
        raw = hidden.encode()
        for form in (
            hidden,
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
            raw.hex(),
            quote(hidden, safe=""),
        ):
            assert not [text for text in texts if form in text], form


async def test_a_refused_body_is_not_repeated_in_the_answer(world: ApiWorld) -> None:
    body = WISH | {"secret": "whsec_AAAA", "headers": {"Host": "t0ken-value"}}
    answer = await world.client.post("/webhook-subscriptions", json=body)
    assert answer.status_code == 422
    assert "AAAA" not in answer.text
    assert "t0ken-value" not in answer.text


async def test_a_key_is_shown_once(guarded: ApiWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    admin = guarded.caller(await guarded.key())
    answer = await admin.post("/api-keys", json={"name": "x", "scopes": ["events:write"]})
    assert answer.headers["cache-control"] == "no-store"
    key = answer.json()["key"]
    publisher = guarded.caller(key)
    assert (await publisher.post("/events", json=EVENT)).status_code == 202
    assert key not in (await admin.get("/api-keys")).text
    assert key not in caplog.text
