"""`tidings listen`: events reach a receiver on this machine as a delivery would."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.cli.conftest import Run
from tests.support.listen_command import ListenCommand
from tests.support.receiver import Receiver, Reply
from tests.support.server import Server
from tidings.cli import following
from tidings.signing import verify
from tools.ports import free_port

Listen = Callable[..., ListenCommand]


@pytest.fixture
def listen(server: Server, receiver: Receiver) -> Iterator[Listen]:
    """Start the command; it ends with the test."""
    begun: list[ListenCommand] = []

    def start(path: str, *options: str, at: Server = server) -> ListenCommand:
        url = path if "://" in path else f"{receiver.url}{path}"
        begun.append(ListenCommand(at, url, *options))
        return begun[-1].until_ready()

    yield start
    for one in begun:
        one.stop()


@pytest.mark.parametrize("headers", [{}, {"webhook-hops": "2"}], ids=["first", "travelled"])
def test_an_event_is_forwarded_as_a_delivery_is_made(
    server: Server, listen: Listen, headers: dict[str, str]
) -> None:
    receiver = Receiver()
    command = listen(
        f"{receiver.url}/forwarded", "--secret", "whsec_abc123", "--event-type", "alike.*"
    )
    server.subscribe(f"{receiver.url}/delivered", event_type="alike.*", secret="whsec_abc123")
    body = {"eventType": "alike.one", "data": {"a": "ä"}}
    event_id = server.call("POST", "/events", body, headers=headers)["eventId"]
    (forwarded,), (delivered,) = receiver.wait("/forwarded", 1), receiver.wait("/delivered", 1)
    assert forwarded.body == delivered.body
    assert set(forwarded.headers) - {"connection"} == set(delivered.headers) - {"connection"}
    changing = {"host", "connection", "webhook-timestamp", "webhook-signature"}
    for name in set(delivered.headers) - changing:
        assert forwarded.headers[name] == delivered.headers[name], name
    now_seconds = int(time.time())
    secrets = ["whsec_abc123"]
    assert verify(forwarded.headers, forwarded.body, secrets, now_seconds=now_seconds) == event_id
    assert ("webhook-hops" in forwarded.headers) == bool(headers)
    assert "secret" not in "".join(command.err)
    command.stop()
    receiver.close()


def test_each_event_is_shown_with_its_answer(
    server: Server, receiver: Receiver, listen: Listen
) -> None:
    command = listen("/shown", "--json", "--event-type", "shown.*")
    receiver.script("/shown", 200, 500, 302)
    ids = [server.publish("shown.one")["eventId"] for _ in range(3)]
    lines = command.lines(3)
    assert [(one["eventId"], one["statusCode"]) for one in lines] == [
        *zip(ids, (200, 500, 302), strict=True)
    ]
    assert len(receiver.at("/shown")) == 3, "none is repeated"
    assert set(lines[0]) == {
        *("eventId", "eventType", "forwardedTo", "statusCode", "error", "durationMs")
    }
    assert command.stop() == 130


def test_people_see_lines_and_the_secret_that_was_made(
    server: Server, receiver: Receiver, listen: Listen
) -> None:
    command = listen("/people", "--event-type", "people.*")
    secret = command.said("Signed with the secret").split()[-1]
    event_id = server.publish("people.one")["eventId"]
    (received,) = receiver.wait("/people", 1)
    verify(received.headers, received.body, [secret], now_seconds=int(time.time()))
    command.wait_for(lambda: len(command.out) == 1)
    assert f"people.one {event_id}: 200 (" in command.out[0]


def test_a_receiver_that_is_away_holds_nothing_up(server: Server, listen: Listen) -> None:
    nobody = ListenCommand(server, f"localhost:{free_port()}/in", "--json", "--event-type", "away")
    nobody.until_ready()
    ids = [server.publish("away")["eventId"] for _ in range(3)]
    lines = nobody.lines(3)
    assert [one["eventId"] for one in lines] == ids
    assert {(one["statusCode"], one["error"]) for one in lines} == {(None, "nothing answers there")}
    assert nobody.stop() == 130


def test_a_receiver_that_floods_is_not_listened_to_for_ever(
    server: Server, receiver: Receiver, listen: Listen
) -> None:
    command = listen("/flood", "--json", "--event-type", "flood")
    receiver.script("/flood", Reply(200, body=b"x" * 5_000_000), Reply(200))
    for _ in range(2):
        server.publish("flood")
    assert [one["statusCode"] for one in command.lines(2)] == [200, 200]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--forward-to", "ftp://localhost/in"], "--forward-to takes a URL"),
        (["--forward-to", "http://"], "--forward-to takes a URL"),
        (["--forward-to", "http://localhost:99999/"], "--forward-to takes a URL"),
        (["--forward-to", "http://localhost/a b"], "--forward-to takes a URL"),
        (["--forward-to", "localhost:1", "--secret", "short"], "--secret: a secret has 8"),
        (["--forward-to", "localhost:1", "--event-type", "a..b"], "(validation_failed)"),
        ([], "--forward-to"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Run, server: Server, options: list[str], part: str
) -> None:
    ended = run("listen", *options, SERVER=server.url)
    assert (ended.code, ended.out) == (2, "")
    assert part in ended.err


def test_a_key_that_is_refused_ends_the_command(run: Run, server: Server) -> None:
    ended = run(
        "listen", "--forward-to", "localhost:1", SERVER=server.url, API_KEY="tidings_unknown"
    )
    assert (ended.code, ended.out) == (4, "")
    assert "(unauthorized)" in ended.err


def test_a_key_that_is_revoked_ends_the_command(server: Server, listen: Listen) -> None:
    key = server.call("POST", "/api-keys", {"name": "x", "scopes": ["events:read"]})
    command = listen("/revoked", "--api-key", key["key"])
    server.call("DELETE", f"/api-keys/{key['keyId']}")
    assert command.ended() == 4
    assert "(unauthorized)" in command.said("the server says")
    assert command.err[-1].startswith("tidings: ")


def test_a_server_that_never_answers_is_waited_for_a_while(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PATIENCE_SECONDS", 0.5)
    ended = run("listen", "--forward-to", "localhost:1", SERVER=f"http://127.0.0.1:{free_port()}")
    assert (ended.code, ended.out) == (6, "")
    first, last = ended.err.splitlines()
    assert "trying for 0.5 seconds" in first
    assert last.startswith("tidings: no server answers")


def test_what_is_no_server_of_ours_is_told(run: Run, receiver: Receiver) -> None:
    receiver.script("/events/stream?eventType=x", Reply(404))
    ended = run("listen", "--forward-to", "localhost:1", "--event-type", "x", SERVER=receiver.url)
    assert ended.code == 3
    assert "is it the right one?" in ended.err


def test_a_server_that_begins_anew_is_listened_to_from_then_on(
    tmp_path: Path, receiver: Receiver, listen: Listen
) -> None:
    server = Server(tmp_path / "data").start()
    command = listen("/anew", "--json", at=server)
    server.publish(eventId="evt_1")
    command.lines(1)
    server.stop()
    shutil.rmtree(server.data_dir)
    server.start()
    command.said("listening from now on")
    command.said("connected again")
    server.publish(eventId="evt_2")
    assert [one["eventId"] for one in command.lines(2)] == ["evt_1", "evt_2"]
    server.client.close()
    server.stop()


def test_what_the_server_keeps_no_longer_is_told(
    run: Run, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gap = {"since": "2024-05-04T12:00:00Z", "until": "2024-05-05T12:00:00Z", "detail": "x"}
    stream = f"id: 1\n\nid: 2\nevent: gap\ndata: {json.dumps(gap)}\n\n"
    headers = {"Content-Type": "text/event-stream"}
    receiver.script("/events/stream?eventType=y", Reply(200, headers, stream.encode()), Reply(401))
    ended = run(
        "listen", "--json", "--forward-to", "localhost:1", "--event-type", "y", SERVER=receiver.url
    )
    assert ended.code == 4
    assert json.loads(ended.out) == {"gap": {"since": gap["since"], "until": gap["until"]}}
    assert receiver.at("/events/stream?eventType=y")[1].headers["last-event-id"] == "2"


def test_events_are_heard_of_other_tenants_if_the_key_may(server: Server, listen: Listen) -> None:
    command = listen("/tenants", "--json", "--tenant", "acme", "--event-type", "tenants")
    server.publish("tenants", eventId="evt_default")
    server.publish("tenants", eventId="evt_acme", tenantId="acme")
    assert [one["eventId"] for one in command.lines(1)] == ["evt_acme"]
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        assert client.get("/events/evt_acme").status_code == 404
