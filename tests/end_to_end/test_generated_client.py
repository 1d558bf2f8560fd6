"""A subscriber written from the OpenAPI document alone, by a generator that knows nothing of us."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.receiver import Received, Receiver
from tests.support.server import Server

_PACKAGE = "generated_tidings_client"
_SUBSCRIPTIONS = "api.webhook_subscriptions"


@pytest.fixture
def generated(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The package that was made from the document of the running server; answers its name."""
    document, config = tmp_path / "openapi.json", tmp_path / "config.json"
    document.write_bytes(server.client.get("/openapi.json").content)
    config.write_text(json.dumps({"post_hooks": []}))
    made = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
            *("--path", str(document), "--config", str(config)),
            *("--output-path", str(tmp_path / _PACKAGE), "--fail-on-warning"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    monkeypatch.syspath_prepend(str(tmp_path))
    return _PACKAGE


def _part(generated: str, name: str) -> Any:
    return importlib.import_module(f"{generated}.{name}")


def test_it_subscribes_receives_and_verifies_an_event_and_understands_problems(
    server: Server, receiver: Receiver, generated: str
) -> None:
    models = _part(generated, "models")
    with _part(generated, "client").AuthenticatedClient(server.url, token=_key(server)) as client:
        subscription = _part(generated, f"{_SUBSCRIPTIONS}.post_webhook_subscriptions").sync(
            client=client,
            body=models.CreateWebhookSubscriptionRequest(
                event_type="order.*", callback_url=f"{receiver.url}/in"
            ),
        )
        assert isinstance(subscription, models.WebhookSubscription)
        published = {"eventType": "order.shipped", "data": {"orderId": "or_12345", "total": 19.5}}
        accepted = _part(generated, "api.events.post_events").sync(
            client=client, body=models.PublishEventRequest.from_dict(published)
        )
        assert accepted.deliveries == 1
        problem = _part(
            generated, f"{_SUBSCRIPTIONS}.get_webhook_subscriptions_subscription_id"
        ).sync("sub_unknown", client=client)
        assert isinstance(problem, models.Problem)
        assert problem.code == "not_found"

    (received,) = receiver.wait("/in", 1)
    event = models.WebhookEvent.from_dict(_verified(received, subscription.secret))
    assert (event.event_id, event.event_type) == (accepted.event_id, "order.shipped")
    assert event.data.to_dict() == published["data"]
    forged = Received(received.path, received.headers, received.body + b" ", received.at)
    with pytest.raises(WebhookVerificationError):
        _verified(forged, subscription.secret)


def _key(server: Server) -> str:
    made = server.call("POST", "/api-keys", {"name": "test", "scopes": ["admin"]})
    return str(made["key"])


def _verified(received: Received, secret: str) -> Any:
    return Webhook(secret).verify(received.body, dict(received.headers))
