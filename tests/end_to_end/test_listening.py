"""Listening over kills, restarts and drains: every accepted event is told, in order."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.listen_command import ListenCommand
from tests.support.receiver import Receiver
from tests.support.server import Server
from tidings.api.wire.stream import FAREWELL

KILLS = 4


class Publishing:
    """Publishers that go on, whatever becomes of the server; what was accepted is kept."""

    def __init__(self, server: Server, publishers: int = 3) -> None:
        self.accepted: list[str] = []
        self._server = server
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._publish, args=(number,)) for number in range(publishers)
        ]
        for one in self._threads:
            one.start()

    def wait(self, count: int) -> None:
        """Wait until so many more events were accepted."""
        wanted, until = len(self.accepted) + count, time.monotonic() + 60
        while len(self.accepted) < wanted:
            assert time.monotonic() < until, "nothing is accepted"
            time.sleep(0.01)

    def stop(self) -> None:
        """Publish no more."""
        self._is_over.set()
        for one in self._threads:
            one.join()

    def _publish(self, publisher: int) -> None:
        number = 0
        with httpx2.Client(base_url=self._server.url, timeout=60, trust_env=False) as client:
            while not self._is_over.is_set():
                event_id = f"e{publisher}-{number}"
                body = {"eventType": "order.shipped", "data": {}, "eventId": event_id}
                try:
                    answer = client.post("/events", json=body)
                except httpx2.TransportError:
                    time.sleep(0.02)
                    continue
                if answer.status_code == 202:
                    self.accepted.append(event_id)
                    number += 1


def committed(server: Server) -> list[str]:
    """The ids of all events in the order in which they were committed."""
    found: list[str] = []
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = server.call("GET", "/events", params=query)
        found += [one["eventId"] for one in page["items"]]
        if page["nextCursor"] is None:
            return found[::-1]
        query["cursor"] = page["nextCursor"]


@pytest.mark.timeout(180)
def test_nothing_is_lost_and_all_is_in_order_although_the_server_is_killed(
    tmp_path: Path, receiver: Receiver
) -> None:
    server = Server(tmp_path / "data").start()
    command = ListenCommand(server, f"{receiver.url}/in", "--json").until_ready()
    publishing = Publishing(server)
    for kill in range(KILLS):
        publishing.wait(20)
        server.kill()
        server.start()
        command.said("connected again", kill + 1)
    publishing.wait(20)
    publishing.stop()

    expected = committed(server)
    assert set(expected) >= set(publishing.accepted)
    command.wait_for(lambda: any(expected[-1] in line for line in command.out))
    heard = list(dict.fromkeys(one["eventId"] for one in command.lines(len(command.out))))
    assert heard == expected
    forwarded = list(dict.fromkeys(one.event_id for one in receiver.at("/in")))
    assert forwarded == expected
    assert command.stop() == 130
    server.client.close()
    assert server.stop() == 0


def test_a_server_that_stops_sends_its_listeners_away_and_is_not_held_up(tmp_path: Path) -> None:
    server = Server(tmp_path / "data").start()
    with ExitStack() as rest:
        client = rest.enter_context(
            httpx2.Client(
                base_url=server.url,
                timeout=20,
                trust_env=False,
                limits=httpx2.Limits(max_connections=None),
            )
        )
        streams = [
            rest.enter_context(client.stream("GET", "/events/stream")).iter_bytes()
            for _ in range(20)
        ]
        firsts = [next(one) for one in streams]
        assert all(b"id: " in one for one in firsts)
        assert server.stop() == 0
        for one in streams:
            assert b"".join(one).endswith(FAREWELL)
    assert "ERROR" not in server.output.read_text().upper()
    server.client.close()


def test_the_open_streams_are_counted(server: Server) -> None:
    with httpx2.Client(base_url=server.url, timeout=20, trust_env=False) as client:
        with client.stream("GET", "/events/stream") as answer:
            pieces = answer.iter_bytes()
            next(pieces)
            assert "tidings_streams 1.0" in server.client.get("/metrics").text
        until = time.monotonic() + 10
        while "tidings_streams 0.0" not in server.client.get("/metrics").text:
            assert time.monotonic() < until
