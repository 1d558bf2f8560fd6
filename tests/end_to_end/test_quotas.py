"""The limits that an operator sets reach the server, and are off until they are set."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server
from tidings.core.limits import QUOTA_BURST_SECONDS

EVENT = {"eventType": "order.shipped", "data": {}}
CALLS = 3 * QUOTA_BURST_SECONDS


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Server]:
    """A server with the tightest limits there are."""
    one = Server(
        tmp_path / "data",
        EVENTS_PER_SECOND_MAX="1",
        BACKLOG_MAX="1",
        KEY_REQUESTS_PER_SECOND_MAX="1",
    ).start()
    yield one
    one.client.close()
    one.stop()


def test_a_server_keeps_the_limits_that_are_set(limited: Server) -> None:
    paused = limited.subscribe("https://example.com/in")["subscriptionId"]
    limited.call("POST", f"/webhook-subscriptions/{paused}/pause")
    limited.publish()
    full = limited.client.post("/events", json=EVENT)
    assert (full.status_code, full.json()["code"]) == (429, "quota_exceeded")
    assert "unfinished" in full.json()["detail"]

    nobodys = EVENT | {"eventType": "nobody.wants"}
    answers = [limited.client.post("/events", json=nobodys) for _ in range(CALLS)]
    assert answers[0].status_code == 202
    refused = [one for one in answers if one.status_code == 429]
    assert "events a second" in refused[0].json()["detail"]

    key = limited.call("POST", "/api-keys", {"name": "one", "scopes": ["admin"]})["key"]
    headers = {"Authorization": f"Bearer {key}"}
    listed = [limited.client.get("/tenants", headers=headers) for _ in range(CALLS)]
    assert listed[0].status_code == 200
    assert "rate_limited" in [one.json().get("code") for one in listed]
    assert limited.client.get("/tenants").status_code == 200  # without a key nobody is counted


def test_by_default_one_key_may_do_what_the_machine_can(server: Server) -> None:
    key = server.call("POST", "/api-keys", {"name": "one", "scopes": ["admin"]})["key"]
    headers = {"Authorization": f"Bearer {key}"}
    body = {"events": [EVENT] * 1_000}
    for _ in range(3):
        answer = server.client.post("/events/batch", json=body, headers=headers)
        assert {item["status"] for item in answer.json()["items"]} == {202}
    codes = {server.client.get("/tenants", headers=headers).status_code for _ in range(200)}
    assert codes == {200}
