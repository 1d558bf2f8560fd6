"""Who takes nothing is cut off, holds up nobody, and loses nothing."""

import asyncio
import json
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.api_world import ApiWorld
from tests.support.served import STREAM, Listening, event_ids, opened
from tests.support.waiting import eventually
from tidings.api import event_stream
from tidings.cli.frames import Frame, FrameReader


class Deaf:
    """A client that opens a stream and does not read it until it is told to."""

    def __init__(self, api: Listening, key: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self._socket.setblocking(False)
        self._address = urlsplit(api.base_url)
        self._key = key
        self.text = b""

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        host, port = self._address.hostname, self._address.port
        await loop.sock_connect(self._socket, (host, port))
        head = f"GET {STREAM} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {self._key}\r\n\r\n"
        await loop.sock_sendall(self._socket, head.encode())
        while b"id: " not in self.text:
            self.text += await loop.sock_recv(self._socket, 4_096)

    async def read(self) -> list[Frame]:
        """All that still comes; what is whole of it."""
        loop = asyncio.get_running_loop()
        with suppress(ConnectionResetError):
            async with asyncio.timeout(20):
                while piece := await loop.sock_recv(self._socket, 65_536):
                    self.text += piece
        self._socket.close()
        chunked = self.text.split(b"\r\n\r\n", 1)[1]
        return [*FrameReader().feed(_unchunked(chunked))]


def _unchunked(chunked: bytes) -> bytes:
    text = b""
    while chunked:
        size, mark, chunked = chunked.partition(b"\r\n")
        length = int(size, 16) if mark else 0
        text, chunked = text + chunked[:length], chunked[length + 2 :]
    return text


async def _publish_much(world: ApiWorld, count: int) -> list[str]:
    data = {"text": "x" * 200_000}
    return [(await world.publish(data=data))["eventId"] for _ in range(count)]


async def test_who_does_not_read_is_cut_off_and_can_go_on_without_a_gap(tmp_path: Path) -> None:
    async with opened(tmp_path, stall_seconds=5) as api:
        client = await api.client()
        hearing = await api.listen(client)
        deaf = Deaf(api, client.headers["authorization"])
        await deaf.open()
        # Whoever did not read meanwhile would be cut off as well.
        published, heard_by_other = await asyncio.gather(
            _publish_much(api.world, 40), hearing.hear(40)
        )
        assert event_ids(heard_by_other) == published, "nobody else waits"
        await eventually(lambda: api.world.streams.open_count == 1)
        first = await deaf.read()
        assert len(first) < 40
        rest = await api.listen(client, first[-1].last_id)
        heard = event_ids(first) + event_ids(await rest.hear(40 - len(first)))
        assert heard == published


async def test_who_reads_again_is_told_why_it_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_stream, "_LAST_WORD_SECONDS", 20)
    caplog.set_level("INFO", logger="tidings.api.event_stream")
    async with opened(tmp_path, stall_seconds=0.2) as api:
        client = await api.client()
        deaf = Deaf(api, client.headers["authorization"])
        await deaf.open()
        published = await _publish_much(api.world, 40)
        await eventually(lambda: "cut off" in caplog.text)
        *events, last = await deaf.read()
        problem = json.loads(last.data)
        assert (last.event, problem["code"], problem["status"]) == ("error", "too_slow", 408)
        assert event_ids(events) == published[: len(events)]
