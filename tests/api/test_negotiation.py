"""What a client is willing to read, and what it gets otherwise."""

import pytest

from tests.support.api_world import ApiWorld
from tests.support.problems import expect_problem
from tidings.api.negotiation import takes_json


@pytest.mark.parametrize(
    "accept",
    [
        "",
        " , ",
        "*/*",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/problem+json",
        "text/html, application/*;q=0.1",
        "text/html, */*; q=0.8",
        "application/json;q=0.001",
        "text/html;q=0, */*",
    ],
)
def test_json_takes_json(accept: str) -> None:
    assert takes_json(accept.encode())


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/xml, text/*",
        "application/json;q=0",
        "application/json; q=0.000, application/problem+json;q=0, */*",
        "*/*;q=0",
        "nonsense",
        "application/jsonx",
    ],
)
def test_json_is_not_acceptable(accept: str) -> None:
    assert not takes_json(accept.encode())


async def test_whoever_takes_no_json_is_told_so(world: ApiWorld) -> None:
    answer = await world.client.get("/events", headers={"Accept": "text/html"})
    expect_problem(answer, 406, "not_acceptable")
    answer = await world.client.get("/events", headers={"Accept": "application/json, text/*"})
    assert answer.status_code == 200


async def test_what_is_no_json_is_had_whatever_the_client_says(world: ApiWorld) -> None:
    answer = await world.client.get("/metrics", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    path = f"/webhook-subscriptions/{(await world.subscribe())['subscriptionId']}"
    assert (await world.client.delete(path, headers={"Accept": "image/*"})).status_code == 204


async def test_pages_for_everybody_are_shown_to_everybody(world: ApiWorld) -> None:
    for path in ("/docs", "/openapi.json", "/health/live"):
        answer = await world.client.get(path, headers={"Accept": "image/png"})
        assert answer.status_code == 200
