"""Known secrets, everything that can be done with them, and a search through all that came out.

A real server sends to real sockets. Every byte that it sends, answers, logs and stores is kept and
searched for every secret in every form that a program might write it in.
"""

import base64
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.support import tally
from tests.support.server import Server
from tidings.signing import SECRET_PREFIX, encode_key

ADMIN_KEY = "known-admin-key-Zq8+v/3x=Lr1~7t"
ENCRYPTION_KEY = bytes(range(101, 133))
STRONG_KEY = bytes(range(3, 250, 8))
STRONG = encode_key(STRONG_KEY)
PLAIN = "known-plain-secret/with+signs&more=9"
ROTATED = encode_key(bytes(range(200, 20, -6)))
HEADER_VALUE = "Bearer known+header/value==&Qj5 end"
SECRETS = {"strong": STRONG, "plain": PLAIN, "rotated": ROTATED}
POLICY = {"schedule": [0.1]}
RUN_SECONDS = 60


def forms(secret: str) -> dict[str, bytes]:
    """A secret in every form that it might be written in, the bytes of the key included."""
    texts = {"text": secret.encode()}
    if secret.startswith(SECRET_PREFIX):
        texts["key"] = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    found = {}
    for name, raw in texts.items():
        found[name] = raw
        found[f"{name} in hex"] = raw.hex().encode()
        found[f"{name} in HEX"] = raw.hex().upper().encode()
        found[f"{name} in url"] = quote(raw, safe="").encode()
        found[f"{name} in form"] = quote_plus(raw).encode()
        for shift in range(3):
            # Within a longer text that was encoded, it begins at any of three places.
            encoded = base64.b64encode(b"\0" * shift + raw)
            inner = encoded[4 * bool(shift) : -4]
            found[f"{name} in base64, {shift}"] = inner
            found[f"{name} in base64url, {shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return found


@dataclass
class Sweep:
    """Everything that came out, by where it came from."""

    found: dict[str, list[bytes]] = field(default_factory=dict)

    def keep(self, place: str, data: bytes) -> None:
        self.found.setdefault(place, []).append(data)

    def leaks(self, secret: str, *, but_in: Sequence[str] = ()) -> list[str]:
        """Where a secret stands, but for the places where it may."""
        wanted = forms(secret)
        searched = {
            place: parts
            for place, parts in self.found.items()
            if not place.startswith(tuple(but_in))
        }
        tally.count("texts searched for a form of a secret", len(wanted) * len(searched))
        return sorted(
            f"{place}: {form}"
            for place, parts in searched.items()
            for form, text in wanted.items()
            if any(text in part for part in parts)
        )

    def expect_none(self, secret: str, *, but_in: Sequence[str] = ()) -> None:
        """Fail if a secret stands anywhere but where it may."""
        leaks = self.leaks(secret, but_in=but_in)
        tally.count("secrets found", len(leaks))
        assert not leaks


class Wiretap(socketserver.ThreadingTCPServer):
    """A receiver that keeps every byte. It answers by the path: a status, or nonsense."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.requests = 0
        super().__init__(("127.0.0.1", 0), _Tapped)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Tapped(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Wiretap)
        received = b""
        while b"\r\n\r\n" not in received:
            part = self.request.recv(65_536)
            if not part:
                return
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += self.request.recv(65_536)
        self.server.requests += 1
        self.server.sweep.keep("sent to the receiver", head + b"\r\n\r\n" + body)
        path = head.split(b" ")[1].strip(b"/").decode()
        answer = b"\x16\x03nonsense\r\n\r\n"
        if path.isdigit():
            lines = (
                f"HTTP/1.1 {path} X",
                "Location: http://127.0.0.1:1/elsewhere",
                "Set-Cookie: session=1",
                "Content-Length: 2",
                "Connection: close",
            )
            answer = "\r\n".join(lines).encode() + b"\r\n\r\nno"
        self.request.sendall(answer)


class Client:
    """Calls the API and the command line, and keeps all that comes back."""

    def __init__(self, server: Server, sweep: Sweep) -> None:
        self._server = server
        self._sweep = sweep
        server.client.headers["Authorization"] = f"Bearer {ADMIN_KEY}"

    def call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._server.client.request(method, path, **options)
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        shows = path.endswith(("/rotate-secret", "/secret")) or (
            answer.status_code == 201 and path in ("/webhook-subscriptions", "/api-keys")
        )
        place = "shown by the API" if shows else f"answer of {method} {path}"
        self._sweep.keep(place, head.encode() + answer.content)
        return answer.json() if answer.content and "json" in head else None

    def run(self, *arguments: str, shows: bool = False) -> int:
        """Run a command as a person would."""
        ended = subprocess.run(
            [sys.executable, "-m", "tidings", *arguments],
            env={**os.environ, "TIDINGS_SERVER": self._server.url, "TIDINGS_API_KEY": ADMIN_KEY},
            capture_output=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        place = "shown by the command line" if shows else f"output of {' '.join(arguments[:2])}"
        self._sweep.keep(place, ended.stdout + ended.stderr)
        return ended.returncode


@pytest.fixture
def sweep() -> Sweep:
    return Sweep()


@pytest.fixture
def wiretap(sweep: Sweep) -> Iterator[Wiretap]:
    with Wiretap(sweep) as one:
        yield one
        one.shutdown()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server as in production, that logs all it can and may send to loopback."""
    one = Server(
        tmp_path / "data",
        is_dev=False,
        ADMIN_KEY=ADMIN_KEY,
        ENCRYPTION_KEY=base64.b64encode(ENCRYPTION_KEY).decode(),
        ALLOW_HTTP="true",
        ALLOWED_NETWORKS="127.0.0.0/8",
        LOG_LEVEL="debug",
    ).start()
    yield one
    one.client.close()
    one.stop()


def keep_files(sweep: Sweep, server: Server) -> None:
    """The log, and every file of the data directory."""
    sweep.keep("the log", server.output.read_bytes())
    for path in sorted(server.data_dir.rglob("*")):
        if path.is_file():
            sweep.keep(f"the file {path.name}", path.read_bytes())


def subscribe_and_publish(client: Client, server: Server, wiretap: Wiretap) -> list[str]:
    """Subscriptions with every secret and every kind of receiver; their ids when all has ended."""
    made = []
    for path in ("200", "500", "302", "429", "nonsense"):
        for secret in (STRONG, PLAIN):
            body = {
                "eventType": "order.*",
                "callbackUrl": f"{wiretap.url}/{path}",
                "secret": secret,
                "headers": {"Authorization": HEADER_VALUE},
                "retryPolicy": POLICY,
            }
            key = {"Idempotency-Key": f"{path} {len(secret)}"}
            answers = [  # the second is answered from what was stored
                client.call("POST", "/webhook-subscriptions", json=body, headers=key)
                for _ in range(2)
            ]
            assert answers[0] == answers[1]
            made.append(answers[0]["subscriptionId"])
    made.append(
        client.call(
            "POST",
            "/webhook-subscriptions",
            json={"eventType": "order.*", "callbackUrl": "http://127.0.0.1:1/", "secret": PLAIN}
            | {"headers": {"X-Token": HEADER_VALUE}, "retryPolicy": POLICY},
        )["subscriptionId"]
    )
    assert client.call("POST", "/events", json={"eventType": "order.shipped", "data": {"n": 1}})
    for one in server.deliveries():
        if one["subscriptionId"] not in made[6:8]:  # a 429 is waited out for longer
            client.call("GET", f"/deliveries/{one['deliveryId']}")
            wanted = "delivered" if one["subscriptionId"] in made[:2] else "dead_lettered"
            server.await_delivery(one["deliveryId"], wanted)
    return made


def use_everything(client: Client, made: Sequence[str]) -> None:
    """Every reading route, changes, rotations, tests, replays, and keys."""
    for one in made:
        path = f"/webhook-subscriptions/{one}"
        client.call("POST", f"{path}/test", json={})
        client.call("GET", path)
        client.call("PATCH", path, json={"headers": {"X-More": HEADER_VALUE}})
        client.call("GET", f"{path}/deliveries")
        client.call("GET", f"{path}/secret")
    client.call("POST", f"/webhook-subscriptions/{made[0]}/rotate-secret", json={"secret": ROTATED})
    client.call("POST", f"/webhook-subscriptions/{made[0]}/test", json={})
    client.call("PATCH", f"/webhook-subscriptions/{made[1]}", json={"description": "changed"})
    client.call("POST", "/dead-letters/replay", json={})
    for path in ("/webhook-subscriptions", "/events", "/deliveries", "/dead-letters", "/tenants"):
        listed = client.call("GET", path)["items"]
        if path in ("/events", "/deliveries"):
            name = "eventId" if path == "/events" else "deliveryId"
            for one in listed:
                client.call("GET", f"{path}/{one[name]}")
    for path in ("/metrics", "/openapi.json", "/docs", "/health/ready", "/api-keys", "/nowhere"):
        client.call("GET", path)


def fail_in_every_way(client: Client, made: Sequence[str]) -> None:
    """Requests that hold a secret where it is wrong, so that a refusal is tempted to repeat it."""
    path = "/webhook-subscriptions"
    good = {"eventType": "a", "callbackUrl": "https://example.com/", "secret": PLAIN}
    for wrong in (
        {"secret": PLAIN + " "},
        {"secret": [PLAIN]},
        {"secret": PLAIN * 20},
        {"headers": {"X-Token": HEADER_VALUE + "\n"}},
        {"headers": {"Host": HEADER_VALUE}},
        {"headers": HEADER_VALUE},
        {"headers": [HEADER_VALUE]},
        {"eventType": PLAIN},
        {"callbackUrl": f"https://user:{quote(PLAIN, safe='')}@example.com/"},
        {"timeoutSeconds": PLAIN},
    ):
        client.call("POST", path, json=good | wrong)
        client.call("PATCH", f"{path}/{made[0]}", json=wrong)
    broken = f'{{"secret": "{PLAIN}", "headers": {{"X": "{HEADER_VALUE}"}}'.encode()
    for content in (broken, broken + b"}}", b"\xff" + broken):
        headers = {"Content-Type": "application/json"}
        client.call("POST", path, content=content, headers=headers)
    client.call("POST", path, content=broken, headers={"Content-Type": "text/plain"})
    client.call("POST", f"{path}/{made[0]}/rotate-secret/", json={"secret": PLAIN})
    for scheme in ("Basic", "Bearer x", "Bearer"):
        client.call("GET", "/events", headers={"Authorization": f"{scheme} {HEADER_VALUE}"})


def use_the_command_line(client: Client, made: Sequence[str]) -> None:
    for arguments in (
        ["subscriptions", "list"],
        ["subscriptions", "list", "--json"],
        ["subscriptions", "show", made[0]],
        ["subscriptions", "show", made[0], "--json"],
        ["subscriptions", "test", made[2]],
        ["deliveries", "list", "--json"],
        ["dead-letters", "list"],
        ["keys", "list", "--json"],
        ["events", "list"],
    ):
        assert client.run(*arguments) in (0, 8), arguments
    assert client.run("subscriptions", "show", "sub_unknown") == 3
    create = ("subscriptions", "create", "paid", "https://example.com/", "--secret", PLAIN)
    assert client.run(*create, "--header", f"X-Token: {HEADER_VALUE}", shows=True) == 0
    rotate = ("subscriptions", "rotate-secret", made[4], "--secret", ROTATED)
    assert client.run(*rotate, shows=True) == 0


@pytest.mark.timeout(180)
def test_no_secret_leaves_but_where_it_must(server: Server, wiretap: Wiretap, sweep: Sweep) -> None:
    client = Client(server, sweep)
    made = subscribe_and_publish(client, server, wiretap)
    use_everything(client, made)
    fail_in_every_way(client, made)
    use_the_command_line(client, made)
    new_key = client.call("POST", "/api-keys", json={"name": "x", "scopes": ["admin"]})["key"]
    client.call("GET", "/events", headers={"Authorization": f"Bearer {new_key}"})
    keep_files(sweep, server)
    assert server.stop() == 0
    keep_files(sweep, server)

    assert wiretap.requests > 20
    assert len(sweep.found["the file tidings.db"]) == 2
    for name, secret in SECRETS.items():
        assert sweep.leaks(secret), f"the search does not find {name} where it is shown"
        sweep.expect_none(secret, but_in=["shown by"])
    assert sweep.leaks(HEADER_VALUE) == ["sent to the receiver: text"]
    sweep.expect_none(ADMIN_KEY)
    sweep.expect_none(encode_key(ENCRYPTION_KEY))
    assert sweep.leaks(new_key)
    sweep.expect_none(new_key, but_in=["shown by the API"])


@pytest.mark.timeout(120)
def test_a_server_with_another_encryption_key_does_not_start_and_tells_nothing(
    server: Server, wiretap: Wiretap, sweep: Sweep
) -> None:
    client = Client(server, sweep)
    body = {"eventType": "order.*", "callbackUrl": f"{wiretap.url}/200", "secret": STRONG}
    client.call("POST", "/webhook-subscriptions", json=body | {"headers": {"X-T": HEADER_VALUE}})
    assert server.stop() == 0
    with pytest.raises(AssertionError, match="the encryption key is not the one"):
        Server(
            server.data_dir,
            is_dev=False,
            ADMIN_KEY=ADMIN_KEY,
            ENCRYPTION_KEY=base64.b64encode(bytes(32)).decode(),
            LOG_LEVEL="debug",
        ).start()
    keep_files(sweep, server)
    assert wiretap.requests == 0
    sweep.expect_none(STRONG, but_in=["shown by the API"])
    sweep.expect_none(HEADER_VALUE)
    sweep.expect_none(ADMIN_KEY)


@pytest.mark.parametrize("secret", [*SECRETS.values(), HEADER_VALUE, ADMIN_KEY])
def test_the_search_finds_a_secret_within_an_encoded_text(secret: str, sweep: Sweep) -> None:
    raw = secret.encode()
    for before in (b"", b"a", b"ab", b"abc", b"abcd"):
        text = before + raw + b"after"
        for encoded in (
            text,
            text.hex().encode(),
            base64.b64encode(text),
            base64.urlsafe_b64encode(text),
            quote(text, safe="").encode(),
        ):
            sweep.found = {"somewhere": [encoded]}
            assert sweep.leaks(secret), encoded
