"""The requests of the specification that the product follows, to the letter."""

import base64
import json
from pathlib import Path

import jsonschema
import yaml
from standardwebhooks import Webhook

from tests.support.receiver import Receiver
from tests.support.server import Server

SEED = Path(__file__).parent.parent / "data" / "seed-openapi.yaml"


def test_the_canonical_exchange_happens_as_specified(server: Server, receiver: Receiver) -> None:
    wish = {
        "eventType": "order.shipped",
        "callbackUrl": f"{receiver.url}/webhooks/order-shipped",
        "secret": "whsec_abc123",
    }
    created = server.client.post("/webhook-subscriptions", json=wish)
    assert created.status_code == 201
    subscription = created.json()
    assert {name: subscription[name] for name in wish} == wish
    assert created.headers["Location"] == (
        f"{server.url}/webhook-subscriptions/{subscription['subscriptionId']}"
    )

    fetched = server.client.get(f"/webhook-subscriptions/{subscription['subscriptionId']}")
    assert fetched.status_code == 200
    assert "secret" not in fetched.json()
    assert server.client.get("/webhook-subscriptions/sub_12345").status_code == 404

    body = (
        b'{"eventId":"evt_567","eventType":"order.shipped","occurredAt":"2024-05-04T12:00:00Z",'
        b'"data":{"orderId":"or_12345","trackingNumber":"1Z999"}}'
    )
    accepted = server.client.post(
        "/events", content=body, headers={"Content-Type": "application/json"}
    )
    assert accepted.status_code == 202
    assert accepted.json() == {
        "eventId": "evt_567",
        "eventType": "order.shipped",
        "occurredAt": "2024-05-04T12:00:00Z",
        "deliveries": 1,
    }

    received = receiver.wait("/webhooks/order-shipped", 1)[0]
    assert received.body == body
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"].startswith("Tidings/")
    assert received.headers["webhook-id"] == "evt_567"
    key = subscription["standardWebhooksSecret"]
    assert Webhook(key).verify(received.body, dict(received.headers)) == json.loads(body)

    schemas = yaml.safe_load(SEED.read_text())["components"]["schemas"]
    jsonschema.validate(json.loads(received.body), schemas["WebhookEvent"])
    jsonschema.validate(fetched.json(), schemas["WebhookSubscription"])
    jsonschema.validate(subscription, schemas["WebhookSubscription"])


def test_a_generated_secret_is_what_standard_webhooks_libraries_take(
    server: Server, receiver: Receiver
) -> None:
    subscription = server.subscribe(f"{receiver.url}/generated")
    secret = subscription["secret"]
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    server.publish(data={"n": 1})
    received = receiver.wait("/generated", 1)[0]
    assert Webhook(secret).verify(received.body, dict(received.headers))["data"] == {"n": 1}


def test_data_reaches_the_receiver_byte_for_byte(server: Server, receiver: Receiver) -> None:
    data = b'{"z": 1.0, "a":-0,"big":123456789012345678901234567890,"e":1E5,"s":"\\u00e9\\/" }'
    server.subscribe(f"{receiver.url}/bytes")
    raw = b'{"eventType":"order.shipped","data":%b}' % data
    answer = server.client.post(
        "/events", content=raw, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 202
    received = receiver.wait("/bytes", 1)[0]
    assert received.body.endswith(b',"data":' + data + b"}")


def test_the_location_has_the_form_of_the_public_url(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", PUBLIC_URL="https://api.example.com").start()
    try:
        created = server.client.post(
            "/webhook-subscriptions",
            json={"eventType": "order.shipped", "callbackUrl": "http://127.0.0.1:9/x"},
        )
        subscription_id = created.json()["subscriptionId"]
        assert created.headers["Location"] == (
            f"https://api.example.com/webhook-subscriptions/{subscription_id}"
        )
    finally:
        server.client.close()
        server.stop()
