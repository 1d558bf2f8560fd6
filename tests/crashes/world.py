"""A server to kill, receivers and publishers that outlive it, and a note of each death."""

import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tests.crashes import receiver
from tests.crashes.publishers import Ledger, Publishers, Stream
from tests.crashes.receiver import Request
from tests.support.server import Server
from tools.ports import free_port

PATHS = (receiver.STEADY, receiver.FLAKY, receiver.SLOW, receiver.ORDERED)
_SETTLE_SECONDS = 120.0
_FULL_SWING_EVENTS = 20


class Death(NamedTuple):
    """A process of the server that got no chance to say goodbye."""

    kind: str
    at_ms: int


class World:
    """Everything that one run needs. Made by `world`."""

    def __init__(self, folder: Path, seed: int, disk: Path) -> None:
        self.draw = random.Random(seed)
        self.folder = folder
        self.server = Server(disk / "data")
        self.deaths: list[Death] = []
        self.pauses = 0
        self.subscription_ids: dict[str, str] = {}
        self.replay_ids: list[str] = []
        self.backups: dict[Path, list[str]] = {}
        """Copies of the database, and what had been accepted before each was begun."""
        self._seed = seed
        self.log = folder / "received"
        self.log.touch()
        self.receiver_port = free_port()
        self._receiver: subprocess.Popen[bytes] | None = None
        self._publishers: Publishers | None = None

    @property
    def urls(self) -> list[str]:
        """Where events can be published."""
        return [self.server.url]

    def start(self, *paths: str, **members: Any) -> None:
        """Start the receivers and the server, and subscribe the receivers' paths."""
        self.start_receivers()
        self.server.start()
        for path in paths or PATHS:
            self.subscribe(path, timeoutSeconds=5, **members)

    def start_receivers(self) -> None:
        """Start the receivers, in a process of their own."""
        command = [sys.executable, "-m", "tests.crashes.receiver"]
        self._receiver = subprocess.Popen(
            [*command, str(self.receiver_port), str(self.log), str(self._seed)]
        )

    def subscribe(self, path: str, event_type: str = "order.*", **members: Any) -> None:
        """Subscribe a path of the receivers."""
        made = self.server.subscribe(
            f"http://127.0.0.1:{self.receiver_port}{path}",
            event_type,
            orderingEnabled=path.startswith(receiver.ORDERED),
            retryPolicy={"schedule": [0.1] * 20},
            **members,
        )
        self.subscription_ids[path] = made["subscriptionId"]

    def publish(self, stream: Stream | None = None, *, publishers: int = 4) -> None:
        """Begin to publish, until `settle`."""
        self._publishers = Publishers(self.urls, count=publishers, seed=self._seed, stream=stream)
        self._publishers.start()

    def wait(self, shortest: float, longest: float) -> None:
        """Let a while pass that only the seed knows."""
        time.sleep(self.draw.uniform(shortest, longest))

    def kill(self, kind: str) -> None:
        """Kill the server, and note how it died; it may have come to rest a moment ago."""
        if self.server.kill() == -signal.SIGKILL:
            self.note_death(kind)

    def await_receivers(self) -> None:
        """Wait until the receivers have read what was on its way to them, however slow they are.

        They take turns with one loop, so what a first probe came behind is read before a second.
        """
        if self._receiver is not None:
            for _ in range(2):
                url = f"http://127.0.0.1:{self.receiver_port}{receiver.PROBE}"
                assert httpx2.get(url, timeout=60, trust_env=False).status_code == 204

    def note_death(self, kind: str) -> None:
        """Note that the server has just died, and what it sent has come."""
        self.await_receivers()
        self.deaths.append(Death(kind, round(time.time() * 1_000)))

    def settle(self) -> Ledger:
        """Stop publishing and wait until every delivery has ended; answers what was accepted."""
        ledger = self.stop_publishing()
        for replay_id in self.replay_ids:
            self.until(partial(self._is_finished, replay_id), f"{replay_id} does not end")
        self.await_the_end_of_deliveries()
        return ledger

    def await_the_end_of_deliveries(self) -> None:
        """Wait until nothing is pending."""
        self.until(lambda: not self.server.deliveries(status="pending"), "deliveries do not end")

    def await_new_events(self) -> None:
        """Wait until publishing is in full swing."""
        before = len(self.accepted())
        self.until(
            lambda: len(self.accepted()) >= before + _FULL_SWING_EVENTS,
            "nothing is accepted any more",
        )

    def _is_finished(self, replay_id: str) -> bool:
        return bool(self.server.call("GET", f"/replays/{replay_id}")["status"] == "finished")

    def until(self, is_so: Callable[[], bool], otherwise: str) -> None:
        """Wait until something is so."""
        assert self.comes_true(is_so, seconds=_SETTLE_SECONDS), otherwise

    def comes_true(self, is_so: Callable[[], bool], *, seconds: float) -> bool:
        """Whether something becomes so within a while."""
        until = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        return True

    def stop_publishing(self) -> Ledger:
        """Stop publishing; answers what was accepted."""
        assert self._publishers is not None
        ledger, self._publishers = self._publishers.stop(), None
        return ledger

    def accepted(self) -> list[str]:
        """The events that have got their 202 so far."""
        assert self._publishers is not None
        return list(self._publishers.ledger.accepted)

    def refused(self) -> int:
        """How many publishes were answered 503 or 429 so far."""
        assert self._publishers is not None
        return self._publishers.ledger.refused

    def received(self) -> list[Request]:
        """Every request that came to the receivers so far, in order."""
        return receiver.requests_of(self.log)

    def close(self) -> None:
        """End whatever still runs."""
        if self._publishers is not None:
            self._publishers.stop()
        self.server.client.close()
        if self.server.is_running:
            self.server.kill()
        if self._receiver is not None:
            self._receiver.kill()
            self._receiver.wait()


@contextlib.contextmanager
def world(folder: Path, seed: int, *, disk: Path | None = None) -> Iterator[World]:
    """A world of its own in a folder; `disk` is where the server keeps its data, if not there.

    The seed decides when what happens, as far as that is in our hands. It is printed.
    """
    sys.stdout.write(f"crash suite, seed {seed}\n")
    one = World(folder, seed, disk or folder)
    try:
        yield one
    finally:
        one.close()
