"""The commands that talk to a server, against a real one."""

import json
import re
import time
from pathlib import Path
from typing import Any

from tests.cli.conftest import Run
from tests.support.receiver import Receiver, Reply
from tests.support.server import Server


def asked(tidings: Run, *arguments: str) -> Any:
    """What a command answers as JSON."""
    return json.loads(tidings(*arguments, "--json").out)


def subscribed(tidings: Run, receiver: Receiver, path: str, *options: str) -> Any:
    return asked(tidings, "subscriptions", "create", "order.*", f"{receiver.url}/{path}", *options)


def await_attempts(server: Server, delivery_id: str, count: int) -> None:
    """Wait until so many attempts are on record."""
    for _ in range(500):
        if server.call("GET", f"/deliveries/{delivery_id}")["attemptCount"] >= count:
            return
        time.sleep(0.02)
    raise AssertionError(f"{delivery_id} never had {count} attempts on record")


def test_an_event_is_published_with_its_data_as_written(
    tidings: Run, receiver: Receiver, server: Server
) -> None:
    subscribed(tidings, receiver, "published")
    data = '{"z": 1.0, "n": 123456789012345678901}'
    accepted = asked(
        tidings,
        *("publish", "order.shipped", "--data", data, "--id", "evt_cli"),
        *("--occurred-at", "2024-05-04T14:00:00+02:00"),
    )
    assert accepted["occurredAt"] == "2024-05-04T12:00:00Z"
    assert receiver.wait("/published", 1)[0].body.endswith(f'"data":{data}}}'.encode())
    assert "evt_cli" in tidings("events", "list").out
    shown = tidings("events", "show", "evt_cli").out
    assert re.search(r"^event type +order\.shipped$", shown, re.MULTILINE)
    assert '"z": 1.0' in shown


def test_publishing_tells_people_what_became_of_it(tidings: Run) -> None:
    out = tidings("publish", "nobody.cares").out
    assert re.search(r"^deliveries +0$", out, re.MULTILINE)


def test_the_same_event_id_with_other_data_is_a_conflict(tidings: Run) -> None:
    tidings("publish", "a.b", "--id", "evt_twice")
    assert "event_id_conflict" in tidings("publish", "a.c", "--id", "evt_twice", code=5).err


def test_a_subscription_is_created_shown_changed_and_deleted(
    tidings: Run, receiver: Receiver
) -> None:
    made = subscribed(
        tidings,
        receiver,
        "life",
        *("--secret", "whsec_abc123", "--description", "for people", "--header", "X-Key: k:v"),
        *("--metadata", "team=orders", "--ordering", "--retry", "5,300", "--rate-limit", "2.5"),
        *("--timeout", "7"),
    )
    subscription_id = made["subscriptionId"]
    assert made["secret"] == "whsec_abc123"
    assert made["headerNames"] == ["X-Key"]
    assert made["metadata"] == {"team": "orders"}
    assert made["retryPolicy"] == {"schedule": [5, 300]}
    assert (made["orderingEnabled"], made["rateLimitPerSecond"]) == (True, 2.5)

    listed = asked(tidings, "subscriptions", "list", "--status", "active")
    assert subscription_id in [one["subscriptionId"] for one in listed["items"]]
    assert subscription_id in tidings("subscriptions", "list").out
    assert "whsec" not in tidings("subscriptions", "show", subscription_id).out
    assert "whsec_abc123" in tidings("subscriptions", "show", subscription_id, "--secrets").out

    changed = asked(
        tidings,
        *("subscriptions", "update", subscription_id, "--no-ordering", "--timeout", "9"),
        *("--unset", "rateLimitPerSecond", "--unset", "description"),
    )
    assert (changed["orderingEnabled"], changed["timeoutSeconds"]) == (False, 9)
    assert (changed["rateLimitPerSecond"], changed["description"]) == (None, None)
    assert changed["metadata"] == {"team": "orders"}

    assert tidings("subscriptions", "delete", subscription_id).out.endswith("is deleted.\n")
    assert "not_found" in tidings("subscriptions", "show", subscription_id, code=3).err


def test_an_update_has_to_change_something(tidings: Run) -> None:
    assert "say what to change" in tidings("subscriptions", "update", "sub_1", code=2).err
    refused = tidings("subscriptions", "update", "sub_1", "--unset", "status", code=2)
    assert "--unset takes one of" in refused.err


def test_a_subscription_is_paused_resumed_and_disabled(tidings: Run, receiver: Receiver) -> None:
    subscription_id = subscribed(tidings, receiver, "states")["subscriptionId"]
    for change, state in (("pause", "paused"), ("resume", "active"), ("disable", "disabled")):
        out = tidings("subscriptions", change, subscription_id).out
        assert out == f"{subscription_id} is {state}.\n"
    assert "invalid_state" in tidings("subscriptions", "pause", subscription_id, code=5).err


def test_an_endpoint_proves_that_it_wants_events(
    run: Run, receiver: Receiver, tmp_path: Path
) -> None:
    server = Server(tmp_path / "data", VERIFICATION="required").start()
    try:
        made = run(
            *("subscriptions", "create", "order.*", f"{receiver.url}/proof", "--json"),
            SERVER=server.url,
        )
        subscription_id = json.loads(made.out)["subscriptionId"]
        verify = ("subscriptions", "verify", subscription_id)
        refused = run(*verify, SERVER=server.url)
        assert (refused.code, refused.out) == (5, "")
        assert "its answer did not say the challenge back" in refused.err
        receiver.answer = lambda sent: Reply(
            body=json.loads(sent.body)["data"]["challenge"].encode()
        )
        assert run(*verify, SERVER=server.url).out == f"{subscription_id} is active.\n"
    finally:
        receiver.answer = lambda _: Reply()
        server.client.close()
        server.stop()


def test_a_secret_is_rotated(tidings: Run, receiver: Receiver) -> None:
    made = subscribed(tidings, receiver, "rotated")
    subscription_id = made["subscriptionId"]
    rotated = asked(tidings, "subscriptions", "rotate-secret", subscription_id, "--overlap", "60")
    secrets = asked(tidings, "subscriptions", "show", subscription_id, "--secrets")["secrets"]
    assert [one["secret"] for one in secrets] == [rotated["secret"], made["secret"]]


def test_a_test_event_tells_whether_it_arrived(tidings: Run, receiver: Receiver) -> None:
    subscription_id = subscribed(tidings, receiver, "tried")["subscriptionId"]
    tried = tidings("subscriptions", "test", subscription_id, "--data", '{"n": 1}')
    assert re.search(r"^outcome +delivered$", tried.out, re.MULTILINE)
    receiver.script("/tried", 500)
    failed = tidings("subscriptions", "test", subscription_id, code=8)
    assert re.search(r"^status code +500$", failed.out, re.MULTILINE)
    assert failed.err == "tidings: the test did not arrive\n"


def test_a_dead_letter_is_listed_replayed_and_its_history_shown(
    tidings: Run, receiver: Receiver, server: Server
) -> None:
    receiver.script("/dead", 500, 500)
    made = subscribed(tidings, receiver, "dead", "--retry", "0.1")
    event_id = asked(tidings, "publish", "order.lost")["eventId"]
    (delivery,) = server.deliveries(eventId=event_id, subscriptionId=made["subscriptionId"])
    delivery_id = delivery["deliveryId"]
    server.await_delivery(delivery_id, "dead_lettered")

    listed = tidings("dead-letters", "list", "--subscription", made["subscriptionId"]).out
    assert delivery_id in listed
    assert "attempts_exhausted" in listed
    assert "is on its way again" in tidings("dead-letters", "replay", delivery_id).out
    server.await_delivery(delivery_id, "delivered")
    history = tidings("deliveries", "show", delivery_id).out
    assert re.search(r"^status +delivered$", history, re.MULTILINE)
    assert [line.split()[0] for line in history.splitlines()[-3:]] == ["1", "2", "3"]
    assert asked(tidings, "deliveries", "show", delivery_id)["attempts"][2]["statusCode"] == 200
    assert delivery_id in tidings("deliveries", "list", "--event", event_id).out


def test_many_are_replayed_and_waited_for(tidings: Run, receiver: Receiver, server: Server) -> None:
    receiver.script("/many", *[500] * 5)
    made = subscribed(tidings, receiver, "many", "--retry", "")
    subscription_id = made["subscriptionId"]
    for number in range(5):
        server.publish("order.many", data={"n": number})
    for delivery in server.deliveries(subscriptionId=subscription_id):
        server.await_delivery(delivery["deliveryId"], "dead_lettered")

    select = ("--subscription", subscription_id)
    dry = tidings("dead-letters", "replay", *select, "--dry-run").out
    assert dry == "5 would be delivered again.\n"
    begun = asked(tidings, "dead-letters", "replay", *select)
    assert begun["deliveries"] == 5
    receiver.wait("/many", 10)
    for delivery in server.deliveries(subscriptionId=subscription_id):
        server.await_delivery(delivery["deliveryId"], "delivered")
    again = tidings("subscriptions", "replay", subscription_id, "--only", "all", "--wait").out
    assert again == "5 are on their way again.\n"
    receiver.wait("/many", 15)


def test_a_replay_of_everything_has_to_be_asked_for(tidings: Run) -> None:
    assert "--all" in tidings("dead-letters", "replay", code=2).err
    both = ("dead-letters", "replay", "dlv_1", "--event-type", "a.b")
    assert "name one delivery" in tidings(*both, code=2).err


def test_a_delivery_is_cancelled_retried_and_discarded(
    tidings: Run, receiver: Receiver, server: Server
) -> None:
    receiver.script("/ends", 500, 500, 500)
    made = subscribed(tidings, receiver, "ends", "--retry", "600")
    server.publish("order.ends")
    receiver.wait("/ends", 1)
    (delivery,) = server.deliveries(subscriptionId=made["subscriptionId"])
    delivery_id = delivery["deliveryId"]
    await_attempts(server, delivery_id, 1)
    assert "on its way" in tidings("deliveries", "retry", delivery_id).out
    receiver.wait("/ends", 2)
    assert tidings("deliveries", "cancel", delivery_id).out == f"{delivery_id} is cancelled.\n"
    assert "invalid_state" in tidings("deliveries", "cancel", delivery_id, code=5).err

    tidings("subscriptions", "update", made["subscriptionId"], "--retry", "")
    server.publish("order.ends")
    dead = server.deliveries(subscriptionId=made["subscriptionId"])[0]["deliveryId"]
    server.await_delivery(dead, "dead_lettered")
    assert tidings("dead-letters", "discard", dead).out == f"{dead} is discarded.\n"


def test_an_event_is_replayed_to_one_subscription(
    tidings: Run, receiver: Receiver, server: Server
) -> None:
    tidings("publish", "invoice.paid", "--id", "evt_again")
    made = subscribed(tidings, receiver, "again")
    to = ("--subscription", made["subscriptionId"])
    assert asked(tidings, "events", "replay", "evt_again", *to)["deliveries"] == 1
    assert receiver.wait("/again", 1)[0].event_id == "evt_again"


def test_lists_go_on_where_the_page_before_ended(tidings: Run) -> None:
    for number in range(3):
        tidings("publish", "page.turned", "--id", f"evt_page_{number}")
    first = tidings("events", "list", "--event-type", "page.turned", "--limit", "2").out
    cursor = re.search(r"--cursor (\S+)", first)
    assert cursor is not None
    rest = tidings(
        *("events", "list", "--event-type", "page.turned", "--limit", "2"), "--cursor", cursor[1]
    ).out
    assert "evt_page_0" not in first
    assert "evt_page_0" in rest
    assert tidings("events", "list", "--event-type", "page.none").out == "There are none.\n"


def test_keys_are_created_listed_and_revoked(tidings: Run, server: Server) -> None:
    made = asked(
        tidings,
        *("keys", "create", "shop", "--scope", "events:write", "--scope", "events:read"),
        *("--tenant", "acme"),
    )
    assert made["tenantId"] == "acme"
    assert made["keyId"] in tidings("keys", "list").out
    assert made["key"] not in tidings("keys", "list").out
    with_key = ("--api-key", made["key"])
    tidings("events", "list", *with_key)
    assert "missing_scope" in tidings("keys", "list", *with_key, code=4).err
    assert "wrong_tenant" in tidings("events", "list", "--tenant", "b", *with_key, code=4).err
    revoke = ("keys", "revoke", made["keyId"], "--tenant", "acme")
    assert tidings(*revoke).out == f"{made['keyId']} is revoked.\n"
    assert "unauthorized" in tidings("events", "list", *with_key, code=4).err


def test_tenants_do_not_see_each_other(tidings: Run) -> None:
    tidings("publish", "a.b", "--id", "evt_theirs", "--tenant", "acme")
    assert "not_found" in tidings("events", "show", "evt_theirs", code=3).err
    assert "evt_theirs" in tidings("events", "show", "evt_theirs", "--tenant", "acme").out
    assert "evt_theirs" in tidings("events", "list", "--tenant", "*").out


def test_bad_values_are_told_with_their_place(tidings: Run) -> None:
    refused = tidings("subscriptions", "create", "order..x", "http://127.0.0.1/", code=2)
    assert refused.err.count("\n") == 1
    assert "/eventType" in refused.err


def test_statistics_are_shown_for_a_subscription_and_for_all(
    tidings: Run, receiver: Receiver, server: Server
) -> None:
    made = subscribed(tidings, receiver, "counted")
    for _ in range(3):
        tidings("publish", "order.shipped")
    receiver.wait("/counted", 3)
    name = made["subscriptionId"]
    for delivery in server.deliveries(subscriptionId=name):
        server.await_delivery(delivery["deliveryId"], "delivered")
    shown = asked(tidings, "subscriptions", "stats", name)
    assert shown["outcomes"]["delivered"] == 3
    out = tidings("subscriptions", "stats", name).out
    assert re.search(r"^attempts +3: 3 delivered$", out, re.MULTILINE)
    assert re.search(r"^success +100\.00 %$", out, re.MULTILINE)
    assert re.search(r"^health +healthy$", out, re.MULTILINE)
    whole = tidings("subscriptions", "stats", "--bucket", "60").out
    assert "health" not in whole
    assert asked(tidings, "subscriptions", "stats")["attempts"] >= 3
    tidings("subscriptions", "stats", "sub_unknown", code=3)
    tidings("subscriptions", "stats", "--bucket", "7", code=2)
