"""The catalogue in the documents that everybody may read: valid, whole, and of one tenant alone."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from tests.support.api_world import ApiWorld

ASYNCAPI = json.loads((Path(__file__).parents[1] / "data" / "asyncapi-3.0.0.json").read_text())
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["total"],
    "properties": {"total": {"$ref": "#/$defs/money"}},
    "$defs": {"money": {"type": "number", "maximum": 1000000.50, "multipleOf": 0.25}},
}


@pytest.fixture
async def described(world: ApiWorld) -> ApiWorld:
    """A world with event types that everybody may read of, and one of another tenant."""
    body = {"schema": SCHEMA, "example": {"total": 19.75}, "description": "Sent.",
            "deprecated": True}  # fmt: skip
    for path, tenant_id, content in (
        ("order.shipped", "default", body),
        ("order.other_one-2", "default", {}),
        ("order.private", "acme", {"description": "not for everybody"}),
    ):
        answer = await world.client.put(
            f"/event-types/{path}", params={"tenantId": tenant_id}, json=content
        )
        assert answer.status_code == 201
    return world


async def _document(world: ApiWorld, name: str) -> Any:
    answer = await world.caller().get(f"/{name}")
    assert answer.status_code == 200
    assert "order.private" not in answer.text
    return answer.json()


async def test_the_webhooks_of_the_openapi_document_are_the_catalogue(described: ApiWorld) -> None:
    document = await _document(described, "openapi.json")
    validate(document)
    assert set(document["webhooks"]) == {
        "event",
        "lifecycle",
        "verification",
        "order.shipped",
        "order.other_one-2",
    }
    post = document["webhooks"]["order.shipped"]["post"]
    assert (post["description"], post["deprecated"]) == ("Sent.", True)
    assert {one["name"] for one in post["parameters"]} == {
        "webhook-id", "webhook-timestamp", "webhook-signature", "webhook-hops",
    }  # fmt: skip
    assert {"2XX", "410", "429", "default"} == set(post["responses"])
    content = post["requestBody"]["content"]
    assert set(content) == {"application/json", "application/cloudevents+json"}
    body = content["application/json"]
    data = body["schema"]["properties"]["data"]
    assert data["properties"]["total"] == SCHEMA["$defs"]["money"]
    jsonschema.Draft202012Validator(body["schema"]).validate(body["example"])


async def test_the_asyncapi_document_is_valid_and_has_the_same(described: ApiWorld) -> None:
    document = await _document(described, "asyncapi.json")
    jsonschema.Draft7Validator(ASYNCAPI).validate(document)
    messages = document["components"]["messages"]
    assert set(messages) == {"order.shipped", "order.other_one-2"}
    example = messages["order.shipped"]["examples"][0]["payload"]
    schema = messages["order.shipped"]["payload"]["schema"]
    jsonschema.Draft202012Validator(schema).validate(example)


async def test_without_a_catalogue_any_event_is_described(world: ApiWorld) -> None:
    document = await _document(world, "asyncapi.json")
    jsonschema.Draft7Validator(ASYNCAPI).validate(document)
    assert set(document["components"]["messages"]) == {"event"}
    assert set((await _document(world, "openapi.json"))["webhooks"]) == {
        "event",
        "lifecycle",
        "verification",
    }


async def test_the_documents_follow_the_catalogue(described: ApiWorld) -> None:
    await _document(described, "openapi.json")
    await described.client.delete("/event-types/order.shipped")
    await described.client.put("/event-types/order.new", json={})
    document = await _document(described, "openapi.json")
    assert set(document["webhooks"]) == {
        "event",
        "lifecycle",
        "verification",
        "order.other_one-2",
        "order.new",
    }
    page = (await described.client.get("/docs")).text
    assert "order.new" in page
    assert "order.private" not in page


def test_the_official_schema_would_notice_a_mistake() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(ASYNCAPI).validate({"asyncapi": "3.0.0", "info": {}})
