"""What the documents show is run here, as it stands there, against a real server and receiver."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.listen_command import ListenCommand
from tests.support.receiver import Received, Receiver, Reply
from tests.support.server import Server
from tests.tidy.checkout import ROOT, text
from tidings.core.pattern import matches
from tidings.core.retry import DEFAULT_RETRY_POLICY
from tidings.signing import verify
from tools.ports import free_port

DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path, language: str, section: str = "") -> list[str]:
    """The code blocks of a document in one language, or of a section of it."""
    page = text(document)
    if section:
        page = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [block for found, block in _BLOCK.findall(page) if found == language]


class Reader:
    """Somebody who does what a document says, on other ports."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.port = free_port()
        self.received = folder / "received.txt"
        self.received.write_text("")

    @contextmanager
    def receiver(self, command: str) -> Iterator[None]:
        """Run a receiver, as the document says, until it is stopped with Ctrl-C."""
        words = command.replace(".venv/bin/", "").split()
        assert words[:2] == ["python", "examples/receiver.py"]
        before = self.received.read_text().count("waiting")
        with self.received.open("a") as output:
            process = subprocess.Popen(
                [sys.executable, *words[1:], "--port", str(self.port)], cwd=ROOT, stdout=output
            )
        self.await_line("waiting", before + 1)
        yield
        process.send_signal(2)
        assert process.wait(10) == 0

    def await_line(self, part: str, count: int = 1) -> None:
        """Wait until the receiver has printed something so often."""
        for _ in range(500):
            if self.received.read_text().count(part) >= count:
                return
            time.sleep(0.02)
        raise AssertionError(f"{part!r} is not {count} times in {self.received.read_text()!r}")

    def run(self, command: str, **ids: str) -> str:
        """Run what is shown, and answer what it prints."""
        command = command.replace("127.0.0.1:8080", f"127.0.0.1:{self.server.port}")
        command = command.replace("127.0.0.1:9000", f"127.0.0.1:{self.port}")
        for name, real in ids.items():
            command = command.replace(f"{name}_12345", real)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ended = subprocess.run(
            ["bash", "-euc", command],
            cwd=ROOT,
            env={**os.environ, "PATH": path, "TIDINGS_SERVER": self.server.url},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
        return ended.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Somebody with an empty desk and a server on fresh data."""
    server = Server(tmp_path / "data").start()
    yield Reader(server, tmp_path)
    server.client.close()
    server.stop()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour is made with curl")
def test_the_tour_of_the_readme_goes_as_told(reader: Reader) -> None:
    tour = blocks(ROOT / "README.md", "sh", "The tour")
    serve, receive, subscribe, show, publish, shorten, fail, history, replay = tour
    assert serve == "make serve\n"
    with reader.receiver(receive):
        created = reader.run(subscribe)
        assert "201 Created" in created
        sub = re.findall(r"sub_\w{26}", created)[0]
        assert f'"subscriptionId":"{sub}"' in reader.run(show, sub=sub)
        assert "202 Accepted" in reader.run(publish)
        assert '"deliveries":1' in reader.run(publish)
        reader.await_line('200 received: {"eventId":"evt_567"')
        reader.run(shorten, sub=sub)
    publish_again, look = re.split(r"sleep \d+\n", fail)
    lost = re.findall(r"evt_\w{26}", reader.run(publish_again))[0]
    (delivery,) = reader.server.deliveries(eventId=lost)
    reader.server.await_delivery(delivery["deliveryId"], "dead_lettered")
    failed = reader.run(look)
    assert '"deadLetterReason":"attempts_exhausted"' in failed
    dlv = re.findall(r"dlv_\w{26}", failed)[0]
    assert reader.run(history, dlv=dlv).count("connection_refused") == 2
    with reader.receiver(receive):
        assert '"replayId"' in reader.run(replay, dlv=dlv)
        reader.await_line('"orderId": "or_67890"')
    assert "repeated" not in reader.received.read_text()


@pytest.mark.parametrize(
    ("document", "section"),
    [
        (ROOT / "README.md", "Without a public URL"),
        (DOCS / "guides" / "listening.md", "On your own machine"),
    ],
)
def test_events_come_to_a_receiver_on_this_machine_as_told(
    reader: Reader, document: Path, section: str
) -> None:
    receive = blocks(ROOT / "README.md", "sh", "The tour")[1]
    listen, publish = blocks(document, "sh", section)
    program, verb, option, url, *rest = listen.replace("9000", str(reader.port)).split()
    assert (program.removeprefix(".venv/bin/"), verb, option) == (
        *("tidings", "listen", "--forward-to"),
    )
    with reader.receiver(receive):
        command = ListenCommand(reader.server, url, *rest).until_ready()
        reader.run(publish)
        reader.await_line("200 received: ")
        command.wait_for(lambda: any(": 200 (" in line for line in command.out))
        assert command.stop() == 130


def test_the_stream_looks_as_the_guide_shows_it(reader: Reader) -> None:
    (curl,) = blocks(DOCS / "guides" / "listening.md", "sh", "Over HTTP")
    (shown,) = blocks(DOCS / "guides" / "listening.md", "text", "Over HTTP")
    reader.server.publish(
        "order.shipped",
        eventId="evt_567",
        occurredAt="2024-05-04T12:00:00Z",
        data={"orderId": "or_12345"},
    )
    url = f"{reader.server.url}{curl.split('8080')[1].strip().rstrip(chr(39))}"
    with httpx2.stream("GET", url, timeout=10, trust_env=False) as answer:
        pieces = answer.iter_text()
        text = next(pieces)
        reader.server.publish(
            "order.shipped",
            eventId="evt_568",
            occurredAt="2024-05-04T12:00:00Z",
            data={"orderId": "or_12345"},
        )
        while "evt_568" not in text:
            text += next(pieces)
    told, expected = (
        re.sub(r"^id: .*$", "id: x", one, flags=re.MULTILINE).replace("evt_568", "evt_567")
        for one in (text, shown)
    )
    assert told.replace('": "', '":"') == expected.rstrip("\n") + "\n\n"


def test_the_start_goes_as_told(reader: Reader) -> None:
    steps = blocks(DOCS / "start.md", "sh")
    receive, subscribe, publish, look, fail, history, replay = steps[3:]
    with reader.receiver(receive):
        reader.run(subscribe)
        reader.run(publish)
        reader.await_line("200 received", 1)
        (python,) = blocks(DOCS / "start.md", "python")
        script = reader.received.with_name("publish.py")
        script.write_text(python.replace("8080", str(reader.server.port)).replace("_567", "_568"))
        assert reader.run(f"{sys.executable} {script}").startswith("202 ")
        reader.await_line("evt_568")
        assert "evt_568" in reader.run(look)
    lost = re.findall(r"evt_\w{26}", reader.run(publish))[0]
    (delivery,) = reader.server.deliveries(eventId=lost)
    reader.server.await_delivery(delivery["deliveryId"], "dead_lettered")
    listed = reader.run(fail)
    assert "attempts_exhausted" in listed
    dlv = re.findall(r"dlv_\w{26}", listed)[0]
    assert reader.run(history, dlv=dlv).count("connection_refused") == 3
    with reader.receiver(receive):
        reader.run(replay)
        reader.await_line("200 received: ", 3)


def test_the_receiver_in_python_takes_what_is_signed_once(
    server: Server, receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = blocks(DOCS / "guides" / "verifying.md", "python")
    guide: dict[str, Any] = {}
    exec(source.replace("received.db", str(tmp_path / "received.db")), guide)
    server.subscribe(f"{receiver.url}/guide", secret="whsec_abc123")
    server.publish(data={"orderId": "or_12345"})
    (request,) = receiver.wait("/guide", 1)
    headers = {name.title(): value for name, value in request.headers.items()}
    assert guide["receive"](headers, request.body) == 200
    assert guide["receive"](headers, request.body) == 200
    assert capsys.readouterr().out == "shipped: or_12345\n"
    assert guide["receive"](headers, request.body + b" ") == 400
    assert guide["receive"](headers | {"Webhook-Signature": "v1,no base64"}, b"{}") == 400
    assert guide["receive"]({}, b"{}") == 400
    guide["database"].close()


@pytest.fixture
def demanding(tmp_path: Path) -> Iterator[Server]:
    """A server that requires a proof from every endpoint."""
    one = Server(tmp_path / "demanding", VERIFICATION="required").start()
    yield one
    one.client.close()
    one.stop()


def test_an_endpoint_is_proven_as_the_guide_says(demanding: Server, tmp_path: Path) -> None:
    page = DOCS / "guides" / "verification.md"
    subscribe, verify_it, receive = blocks(page, "sh")
    reader = Reader(demanding, tmp_path)
    made = reader.run(subscribe)
    assert "pending_verification" in made
    (sub,) = re.findall(r"sub_\w{26}", made)
    with reader.receiver(receive):
        assert reader.run(verify_it, sub=sub) == f"{sub} is active.\n"
        reader.await_line("200 proven: evt_")
        demanding.publish("order.shipped")
        reader.await_line("200 received: ")


def test_the_receiver_of_the_guide_answers_challenges(
    demanding: Server, receiver: Receiver
) -> None:
    (source,) = blocks(DOCS / "guides" / "verification.md", "python")
    guide: dict[str, Any] = {}
    exec(source, guide)

    def answer(received: Received) -> Reply:
        headers = {name.title(): value for name, value in received.headers.items()}
        assert guide["receive"](headers, received.body + b" ") == (400, b"")
        status, said = guide["receive"](headers, received.body)
        return Reply(status, body=said)

    receiver.answer = answer
    made = demanding.subscribe(f"{receiver.url}/proof", secret="whsec_abc123")
    path = f"/webhook-subscriptions/{made['subscriptionId']}/verify"
    try:
        assert demanding.call("POST", path)["status"] == "active"
        demanding.publish()
        assert [one.body.count(b"challenge") for one in receiver.wait("/proof", 2)] == [1, 0]
    finally:
        receiver.answer = lambda _: Reply()


def test_what_the_readme_says_arrives_is_signed() -> None:
    (request,) = blocks(ROOT / "README.md", "text", "Receive")
    head, body = request.rstrip("\n").split("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    now = int(headers["webhook-timestamp"])
    assert verify(headers, body.encode(), ["whsec_abc123"], now_seconds=now) == "evt_567"


def test_the_table_of_retries_is_the_default_schedule() -> None:
    page = text(DOCS / "guides" / "retries.md")
    table = page.split("| attempt | waits |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE)
    after = 0.0
    told = [(int(number), seconds(wait), seconds(sum_)) for number, wait, sum_ in rows]
    for number, wait in enumerate(DEFAULT_RETRY_POLICY.waits_seconds, start=2):
        after += wait
        assert (number, wait, after) in told
    assert len(told) + 1 == DEFAULT_RETRY_POLICY.attempts_max


def seconds(duration: str) -> float:
    """How long ``2 h 35 min 5 s`` is."""
    units = {"h": 3_600, "min": 60, "s": 1}
    return sum(int(n) * units[unit] for n, unit in re.findall(r"(\d+) (h|min|s)", duration))


def test_the_table_of_patterns_is_true() -> None:
    page = text(DOCS / "guides" / "subscriptions.md")
    table = page.split("| pattern | gets |")[1].split("\n\n")[0]
    rows = [line.split("|")[1:4] for line in table.splitlines()[2:]]
    assert len(rows) == 5
    for cells in rows:
        (pattern,), got, missed = (re.findall(r"`([^`]+)`", cell) for cell in cells)
        assert all(matches(pattern, one) for one in got), pattern
        assert not any(matches(pattern, one) for one in missed), pattern
