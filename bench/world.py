"""The processes of a measurement: server, receiver, load; and what the system says they cost."""

import contextlib
import functools
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trustme

from tools.ports import free_port

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 60.0
_LOAD_SECONDS_MAX = 570.0

Arrivals = dict[tuple[str, str], int]
"""By the id of the event and the path: when it first came, in nanoseconds."""


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process has used, in user and system mode, all threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_memory_mib(pid: int) -> float:
    """The highest resident memory of a process so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1_024
    raise ValueError(pid)


class World:
    """A server, or what stands for one, and a receiver, on fresh data in `folder`."""

    def __init__(
        self, folder: Path, settings: dict[str, str], *, is_floor: bool, tls: bool
    ) -> None:
        self.folder = folder
        self.server_port, self.receiver_port = free_port(), free_port()
        self._scheme = "https" if tls else "http"
        self._is_floor = is_floor
        self.environment = {**os.environ, **settings}
        receiver = [sys.executable, "-m", "bench.receiver", str(self.receiver_port)]
        if tls:
            receiver.append(self._certificate())
        self.receiver = subprocess.Popen(receiver)
        await_port(self.receiver_port)
        self.server: subprocess.Popen[bytes] = self.receiver

    @property
    def receiver_url(self) -> str:
        """Where the receiver listens."""
        return f"{self._scheme}://127.0.0.1:{self.receiver_port}"

    def prepare(self, *, subscriptions: int, path: str, event_type: str) -> None:
        """Fill the folder with subscriptions while no server runs on it."""
        url = self.receiver_url + path
        arguments = [str(self.folder), str(subscriptions), url, event_type]
        command = [sys.executable, "-m", "bench.prepare", *arguments]
        subprocess.run(command, check=True, env=self.environment)

    def start(self) -> float:
        """Start the server; answers how many seconds it took until it was ready."""
        began = time.monotonic()
        if self._is_floor:
            options = ["bench.floor", str(self.server_port), f"{self.receiver_url}/ok"]
        else:
            options = ["tidings", "serve", "--dev", "--port", str(self.server_port)]
            options += ["--data-dir", str(self.folder)]
        self.server = subprocess.Popen(
            [sys.executable, "-m", *options],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await_port(self.server_port)
        if not self._is_floor:
            self.call("GET", "/health/ready", seconds=_START_SECONDS)
        return time.monotonic() - began

    def kill_server(self) -> None:
        """End the server as a power cut would."""
        self.server.kill()
        self.server.wait()

    def stop(self) -> None:
        """End both."""
        for process in (self.server, self.receiver):
            process.send_signal(signal.SIGTERM)
        for process in (self.server, self.receiver):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def cpu_seconds(self) -> float:
        """The CPU time of the server so far."""
        return cpu_seconds(self.server.pid)

    def peak_memory_mib(self) -> float:
        """The highest resident memory of the server so far."""
        return peak_memory_mib(self.server.pid)

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        seconds: float = 10.0,
    ) -> Any:
        """Call the server's API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=seconds)
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path} was answered {answer.status}: {text!r}")
        return json.loads(text) if text else None

    def subscribe(self, event_type: str, path: str, **members: Any) -> str:
        """Subscribe the receiver."""
        body = {"eventType": event_type, "callbackUrl": self.receiver_url + path, **members}
        return str(self.call("POST", "/webhook-subscriptions", body)["subscriptionId"])

    def arrivals(self) -> Arrivals:
        """What has come to the receiver."""
        split = [line.split() for line in self._ask_receiver("/arrivals").splitlines()]
        return {(event_id, path): int(at) for event_id, path, at in split}

    def count_arrivals(self) -> int:
        """How many deliveries have come to the receiver."""
        return int(self._ask_receiver("/count"))

    def load(
        self,
        events: int,
        *,
        connections: int,
        rate: float = 0,
        event_type: str = "bench.event",
        batch: int = 1,
    ) -> tuple[dict[str, int], float]:
        """Publish; answers when each 202 came, and how long all took, in seconds."""
        arguments = [self.server_port, events, connections, rate, event_type, batch]
        done = subprocess.run(
            [sys.executable, "-m", "bench.load", *map(str, arguments)],
            stdout=subprocess.PIPE,
            check=True,
            timeout=_LOAD_SECONDS_MAX,
        )
        *lines, took = done.stdout.decode().splitlines()
        accepted = {line.split()[0]: int(line.split()[1]) for line in lines}
        return accepted, int(took.split()[1]) / 1e9

    def await_arrivals(self, deliveries: int, *, seconds: float = 120) -> Arrivals:
        """Wait until so many deliveries have come to the receiver."""
        until = time.monotonic() + seconds
        while (count := self.count_arrivals()) < deliveries:
            if time.monotonic() > until:
                raise SystemExit(f"only {count} of {deliveries} deliveries arrived")
            time.sleep(0.05)
        return self.arrivals()

    def _ask_receiver(self, path: str) -> str:
        make: Any = http.client.HTTPConnection
        if self._scheme == "https":
            trusting = ssl.create_default_context(cafile=self.environment["SSL_CERT_FILE"])
            make = functools.partial(http.client.HTTPSConnection, context=trusting)
        connection = make("127.0.0.1", self.receiver_port, timeout=60)
        connection.request("GET", path)
        text: str = connection.getresponse().read().decode()
        connection.close()
        return text

    def _certificate(self) -> str:
        """Make a certificate that the server will trust; answers the file with it and its key."""
        authority = trustme.CA()
        trusted, certificate = self.folder / "trusted.pem", self.folder / "receiver.pem"
        authority.cert_pem.write_to_path(trusted)
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        self.environment["SSL_CERT_FILE"] = str(trusted)
        return str(certificate)


def cpu_of_a_post(kind: str, port: int, *, posts: int) -> float:
    """Microseconds of CPU for one POST to a receiver; see `bench.client`."""
    command = [sys.executable, "-m", "bench.client", kind, str(port), str(posts)]
    return float(subprocess.run(command, capture_output=True, check=True, timeout=300).stdout)


@contextlib.contextmanager
def lone_receiver() -> Iterator[int]:
    """A receiver without a server; gives its port."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "bench.receiver", str(port)]) as receiver:
        try:
            await_port(port)
            yield port
        finally:
            receiver.terminate()


@contextlib.contextmanager
def world(
    *,
    is_floor: bool = False,
    tls: bool = False,
    prepare: Callable[[World], None] = lambda _: None,
    **settings: str,
) -> Iterator[World]:
    """Start a receiver and a server, and end both. `prepare` may fill the folder before."""
    with tempfile.TemporaryDirectory() as folder:
        one = World(Path(folder), settings, is_floor=is_floor, tls=tls)
        try:
            prepare(one)
            one.start()
            yield one
        finally:
            one.stop()


def await_port(port: int) -> None:
    """Wait until something listens on a port of loopback."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
