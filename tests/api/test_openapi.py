"""The OpenAPI document is valid, keeps the seed's names, and is a page for people too."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml
from openapi_spec_validator import validate

from tests.support.api_world import ApiWorld
from tidings.api.problems import all_kinds
from tidings.core.verification import CHALLENGE_EVENT_TYPE

SEED = yaml.safe_load((Path(__file__).parents[1] / "data" / "seed-openapi.yaml").read_text())


async def _document(world: ApiWorld) -> Any:
    answer = await world.client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_the_document_is_valid_openapi_3_1(world: ApiWorld) -> None:
    document = await _document(world)
    assert document["openapi"].startswith("3.1.")
    validate(document)


async def test_the_document_keeps_the_paths_schemas_and_members_of_the_seed(
    world: ApiWorld,
) -> None:
    document = await _document(world)
    for path, operations in SEED["paths"].items():
        for method, operation in operations.items():
            ours = document["paths"][path][method]
            assert set(operation["responses"]) <= set(ours["responses"])
    for name, schema in SEED["components"]["schemas"].items():
        ours = document["components"]["schemas"][name]
        assert set(schema["properties"]) <= set(ours["properties"])
        assert set(schema["required"]) <= set(ours["required"])
    assert set(
        document["components"]["schemas"]["CreateWebhookSubscriptionRequest"]["required"]
    ) == set(SEED["components"]["schemas"]["CreateWebhookSubscriptionRequest"]["required"])


async def test_the_document_tells_what_receivers_get(world: ApiWorld) -> None:
    delivery = (await _document(world))["webhooks"]["event"]["post"]
    names = {one["name"] for one in delivery["parameters"]}
    assert names == {"webhook-id", "webhook-timestamp", "webhook-signature", "webhook-hops"}
    body = delivery["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/WebhookEvent"}


async def test_the_document_tells_how_endpoints_prove_themselves(world: ApiWorld) -> None:
    document = await _document(world)
    verification = document["webhooks"]["verification"]["post"]
    assert verification["parameters"] == document["webhooks"]["event"]["post"]["parameters"]
    schemas = document["components"]["schemas"]
    event = schemas["VerificationEvent"]
    assert event["properties"]["eventType"]["enum"] == [CHALLENGE_EVENT_TYPE]
    assert set(event["required"]) == set(schemas["WebhookEvent"]["required"])
    said_back = verification["responses"]["2XX"]["content"]
    assert said_back["application/json"]["schema"] == {"$ref": "#/components/schemas/Challenge"}
    assert schemas["Challenge"]["required"] == ["challenge"]


async def test_every_refusal_is_answered_as_a_problem(world: ApiWorld) -> None:
    document = await _document(world)
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"]
    codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert codes == sorted({kind.code for kind in all_kinds()})
    assert {"malformed_json", "internal_error", "method_not_allowed"} <= set(codes)


async def test_operations_have_names_of_their_own(world: ApiWorld) -> None:
    document = await _document(world)
    names = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    ]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z-]+", name) for name in names)


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            elif name in ("src", "href"):
                self.targets.append(str(value))


async def test_the_page_needs_nothing_from_elsewhere_and_explains_every_problem(
    world: ApiWorld,
) -> None:
    answer = await world.client.get("/docs")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = _Anchors()
    page.feed(answer.text)
    assert set(page.targets) == {"openapi.json", "#problems", "#schemas"}
    assert {kind.code for kind in all_kinds()} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
