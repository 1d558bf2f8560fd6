"""A cluster on a PostgreSQL of its own, with receivers and publishers that outlive its nodes."""

import base64
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.cluster.ownership import Seen, Watch
from tests.crashes import receiver
from tests.crashes.publishers import Stream
from tests.crashes.receiver import Request
from tests.crashes.senders import senders_of
from tests.crashes.world import World
from tests.support.postgres_server import Installation, PostgresServer, running_server
from tests.support.server import Server

_DURABLE = "fsync = on\nfull_page_writes = on\n"
_KEY = base64.b64encode(b"k" * 32).decode()
_DATABASE = "cluster"
_LONGEST_SECONDS = 180.0
_TIMEOUT_SECONDS = 5


class Size(NamedTuple):
    """How much is published to how many, and how fast."""

    events: int
    per_second: float
    event_types: int
    kinds: tuple[str, ...]
    """Where each event goes: to a subscription of each kind."""
    rates: tuple[float, ...]
    """The rate limits of the `LIMITED`, in turn."""


LIMITED: Final = "/limited"
SMALL: Final = Size(1_500, 60, 10, (receiver.STEADY, receiver.ORDERED, LIMITED), (9.0, 12.0, 20.0))
LARGE: Final = Size(
    20_000,
    40,
    50,
    (receiver.STEADY, receiver.ORDERED, LIMITED, receiver.FLAKY),
    (1.5, 3.0, 10.0),
)


class Trouble(NamedTuple):
    """What was done to a process, from when to when it could leave requests behind."""

    kind: str
    process: int
    """0 if any process may be concerned."""
    from_ms: int
    until_ms: int


class Freeze(NamedTuple):
    """What was seen of a worker that was stopped past its lease, and resumed."""

    process: int
    stopped_ms: int
    taken_over_ms: int
    """When others were seen to own every shard."""
    resumed_ms: int
    owned_nothing_ms: int
    """When that was still so."""


class Cluster(World):
    """2 API nodes and 3 workers. Made by `cluster`."""

    def __init__(self, folder: Path, seed: int, database: PostgresServer, size: Size) -> None:
        self.database = database
        self.size = size
        self.types_of: dict[str, str] = {}
        self.rates: dict[str, float] = {}
        self.troubles: list[Trouble] = []
        self.freezes: list[Freeze] = []
        self.watch = Watch(database.url(_DATABASE))
        self.nodes = [self._node(folder, "api", number) for number in range(2)]
        self.workers = [self._node(folder, "worker", number) for number in range(3)]
        super().__init__(folder, seed, folder)
        self._found = folder / "senders"
        self._found.touch()
        self._senders: subprocess.Popen[bytes] | None = None
        self.server.client.close()
        self.server = self.nodes[0]

    def _node(self, folder: Path, role: str, number: int) -> Server:
        url = self.database.url(_DATABASE)
        return Server(
            folder / f"{role}-{number}", "--role", role, DATABASE_URL=url, ENCRYPTION_KEY=_KEY
        )

    @property
    def urls(self) -> list[str]:
        """See `World`."""
        return [node.url for node in self.nodes]

    def start_everything(self) -> None:
        """Start every process, subscribe, and begin to publish."""
        self.database.run(f"CREATE DATABASE {_DATABASE}")
        self.start_receivers()
        command = [sys.executable, "-m", "tests.crashes.senders"]
        self._senders = subprocess.Popen([*command, str(self.receiver_port), str(self._found)])
        for one in (*self.nodes, *self.workers):
            one.spawn()
        for one in (*self.nodes, *self.workers):
            one.await_ready()
        self.watch.start()
        for number, kind in enumerate(self.size.kinds):
            for index in range(self.size.event_types):
                self._subscribe_kind(kind, f"{number}-{index}", index)
        self.await_sharing(since_ms=0)
        self.publish(
            Stream(
                [f"order.t{index}" for index in range(self.size.event_types)],
                self.size.per_second,
                self.size.events,
            )
        )

    def _subscribe_kind(self, kind: str, name: str, index: int) -> None:
        path, event_type = f"{kind}/{name}", f"order.t{index}"
        members: dict[str, Any] = {"timeoutSeconds": _TIMEOUT_SECONDS}
        if kind == LIMITED:
            self.rates[path] = self.size.rates[index % len(self.size.rates)]
            members["rateLimitPerSecond"] = self.rates[path]
        self.subscribe(path, event_type, **members)
        self.types_of[path] = event_type

    @property
    def running_workers(self) -> list[Server]:
        """The workers that are neither killed nor stopped for good."""
        return [one for one in self.workers if one.is_running]

    def await_sharing(self, *, since_ms: int, workers: int | None = None) -> Seen:
        """Wait until every shard is owned, by all running workers; answers when that was so."""
        expected = len(self.running_workers) if workers is None else workers
        return self.await_seen(since_ms, lambda seen: seen.is_shared_by(expected))

    def await_balance(self, *, since_ms: int) -> Seen:
        """Wait until all running workers own the same number of shards, or one more."""
        expected = len(self.running_workers)
        return self.await_seen(
            since_ms, lambda seen: seen.is_shared_by(expected) and seen.imbalance <= 1
        )

    def await_seen(self, since_ms: int, is_so: Callable[[Seen], bool]) -> Seen:
        """Wait until the table of shards was seen to be as it is asked for."""
        until = time.monotonic() + _LONGEST_SECONDS
        while True:
            found = self.watch.first_since(since_ms, is_so)
            if found is not None:
                return found
            assert time.monotonic() < until, f"the shards are not shared: {self.watch.seen[-1:]}"
            time.sleep(0.02)

    def note_trouble(self, kind: str, process: int, from_ms: int, until_ms: int) -> None:
        """Note what was done to a process."""
        self.troubles.append(Trouble(kind, process, from_ms, until_ms))

    def await_accepted(self, count: int) -> None:
        """Wait until so many events have their 202, as long as there are ever more of them."""
        newest, since = -1, 0.0
        while (accepted := len(self.accepted())) < count:
            if accepted != newest:
                newest, since = accepted, time.monotonic()
            assert time.monotonic() < since + _LONGEST_SECONDS, "nothing is accepted any more"
            time.sleep(0.05)

    def received(self) -> list[Request]:
        """See `World`; each with its sender."""
        sender = senders_of(self._found)
        return [each._replace(sender=sender(each.port, each.at_ms)) for each in super().received()]

    def close(self) -> None:
        """See `World`."""
        self.watch.stop()
        if self._senders is not None:
            self._senders.kill()
            self._senders.wait()
        super().close()
        for one in (*self.nodes, *self.workers):
            one.client.close()
            if one.is_running:
                one.signal(signal.SIGCONT)
                one.kill()


@contextlib.contextmanager
def cluster(folder: Path, seed: int, installation: Installation, size: Size) -> Iterator[Cluster]:
    """A cluster of its own in a folder, stopped at the end."""
    with running_server(installation, settings=_DURABLE) as database:
        one = Cluster(folder, seed, database, size)
        try:
            yield one
        finally:
            one.close()
