"""Problems: everything that is no success has one form, also what the framework says."""

from typing import Any

import pytest

from tests.support.api_world import EVENT, ApiWorld
from tests.support.problems import expect_problem
from tidings.api.problems import STATUSES, all_kinds, status_of
from tidings.core import refusals
from tidings.core.refusals import Refusal
from tidings.ports.store import StoreUnavailable


def test_every_refusal_has_a_code_a_title_and_a_status() -> None:
    kinds = [one for one in all_kinds() if issubclass(one, Refusal)]
    assert {one.__name__ for one in kinds} <= set(refusals.__all__)
    assert len({one.code for one in all_kinds()}) == len(all_kinds())
    for one in all_kinds():
        assert one.code
        assert one.title
        assert 400 <= status_of(one) < 600
    assert all(issubclass(one, Refusal) for one in STATUSES)


@pytest.mark.parametrize("path", ["/nowhere", "/", "/events/", "/events/a/b/c", "/Events", "//"])
async def test_an_unknown_path_is_a_problem(world: ApiWorld, path: str) -> None:
    expect_problem(await world.client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/events", "GET, HEAD, POST"),
        ("DELETE", "/webhook-subscriptions", "GET, HEAD, POST"),
        ("POST", "/health/live", "GET, HEAD"),
        ("OPTIONS", "/events", "GET, HEAD, POST"),
        ("TRACE", "/webhook-subscriptions/sub_1", "DELETE, GET, HEAD, PATCH"),
        ("NONSENSE", "/events/evt_1", "GET, HEAD"),
    ],
)
async def test_an_unknown_method_is_a_problem(
    world: ApiWorld, method: str, path: str, allowed: str
) -> None:
    answer = await world.client.request(method, path)
    expect_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


async def test_a_bug_is_a_problem_that_tells_nothing(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the inner thing at 10.0.0.1")

    monkeypatch.setattr(world.store, "list_events", fail)
    answer = await world.caller(is_counted=False).get("/events")
    expect_problem(answer, 500, "internal_error")
    assert "10.0.0.1" not in answer.text
    assert "10.0.0.1" in caplog.text, "but the log tells it"


async def test_a_store_that_is_away_is_a_problem_that_passes(
    world: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("disk I/O error at /var/lib")

    monkeypatch.setattr(world.store, "get_subscription", fail)
    answer = await world.client.get("/webhook-subscriptions/sub_1")
    expect_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert "/var/lib" not in answer.text


async def test_the_places_of_faults_are_json_pointers(world: ApiWorld) -> None:
    problem = expect_problem(
        await world.client.post("/events", json=EVENT | {"eventId": "a b"}),
        422,
        "validation_failed",
    )
    (error,) = problem["errors"]
    assert set(error) == {"pointer", "detail"}
    assert error["pointer"] == "/eventId"


async def test_every_answer_forbids_sniffing(world: ApiWorld) -> None:
    for path in ("/events", "/health/live", "/docs", "/nowhere"):
        assert (await world.client.get(path)).headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/events", "/health/ready", "/docs"])
async def test_head_is_answered_like_get(world: ApiWorld, path: str) -> None:
    get, head = await world.client.get(path), await world.client.head(path)
    assert head.status_code == get.status_code == 200
    assert head.headers == get.headers


async def test_a_server_that_is_not_ready_says_why(world: ApiWorld) -> None:
    assert (await world.client.get("/health/ready")).json()["status"] == "ready"
    world.reasons_not_ready.append("the database cannot be used at the moment")
    problem = expect_problem(await world.client.get("/health/ready"), 503, "unavailable")
    assert problem["detail"] == "the database cannot be used at the moment"
    assert (await world.client.get("/health/live")).json() == {"status": "live", "version": "test"}
