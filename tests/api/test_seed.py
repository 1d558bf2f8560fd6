"""The specification that it all began with, held against live answers."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_schema_validator import OAS30Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from tests.support.api_world import EVENT, PUBLIC_URL, WISH, ApiWorld
from tidings.core.event import frozen_body

SEED = yaml.safe_load((Path(__file__).parents[1] / "data" / "seed-openapi.yaml").read_text())
_REGISTRY: Registry[Any] = Registry().with_resource(
    "seed", Resource.from_contents(SEED, default_specification=DRAFT4)
)


def expect_valid(schema: str, value: Any) -> None:
    """Hold a value against a schema of the seed."""
    reference = {"$ref": f"seed#/components/schemas/{schema}"}
    OAS30Validator(reference, registry=_REGISTRY).validate(value)


def test_the_check_itself_can_fail() -> None:
    with pytest.raises(Exception, match="required property"):
        expect_valid("WebhookSubscription", {"subscriptionId": "sub_1"})


async def test_the_creation_of_the_seed_is_answered_as_the_seed_says(world: ApiWorld) -> None:
    expect_valid("CreateWebhookSubscriptionRequest", WISH)
    answer = await world.client.post("/webhook-subscriptions", json=WISH)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    created = answer.json()
    expect_valid("WebhookSubscription", created)
    assert created | WISH == created
    subscription_id = created["subscriptionId"]
    assert answer.headers["location"] == f"{PUBLIC_URL}/webhook-subscriptions/{subscription_id}"


async def test_the_creation_of_the_overview_needs_no_secret(world: ApiWorld) -> None:
    wish = {name: WISH[name] for name in ("eventType", "callbackUrl")}
    answer = await world.client.post("/webhook-subscriptions", json=wish)
    assert answer.status_code == 201
    expect_valid("WebhookSubscription", answer.json())
    assert answer.json()["secret"].startswith("whsec_")


async def test_details_are_answered_as_the_seed_says(world: ApiWorld) -> None:
    created = await world.subscribe()
    answer = await world.client.get(f"/webhook-subscriptions/{created['subscriptionId']}")
    assert answer.status_code == 200
    expect_valid("WebhookSubscription", answer.json())
    unknown = await world.client.get("/webhook-subscriptions/sub_12345")
    assert unknown.status_code == 404


async def test_a_published_event_is_stored_as_the_seed_delivers_it(world: ApiWorld) -> None:
    event = EVENT | {"eventId": "evt_567", "occurredAt": "2024-05-04T12:00:00Z"}
    answer = await world.client.post("/events", json=event)
    assert answer.status_code == 202
    stored = await world.store.get_event("default", "evt_567")
    assert stored.body == frozen_body(
        "evt_567",
        "order.shipped",
        "2024-05-04T12:00:00Z",
        b'{"orderId":"or_12345","trackingNumber":"1Z999"}',
    )
    shown = (await world.client.get("/events/evt_567")).json()
    expect_valid("WebhookEvent", shown)
