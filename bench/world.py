"""The processes of a measurement: server, receiver, load; and what the system says they cost."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 20.0


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


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


Arrivals = dict[tuple[str, str], int]
"""By the id of the event and the path: when it first came."""


@dataclass
class World:
    """A running server and receiver."""

    server: subprocess.Popen[bytes]
    receiver: subprocess.Popen[bytes]
    server_port: int
    receiver_port: int

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the server's API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=10)
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
        url = f"http://127.0.0.1:{self.receiver_port}{path}"
        body = {"eventType": event_type, "callbackUrl": url, **members}
        return str(self.call("POST", "/webhook-subscriptions", body)["subscriptionId"])

    def arrivals(self) -> Arrivals:
        """When each event came to the receiver, in nanoseconds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver_port, timeout=30)
        connection.request("GET", "/arrivals")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        split = [line.split() for line in lines]
        return {(event_id, path): int(at) for event_id, path, at in split}

    def load(
        self, events: int, *, connections: int, rate: float = 0, event_type: str = "bench.event"
    ) -> tuple[dict[str, int], float]:
        """Publish; answers when each 202 came, and how long all took, in seconds."""
        arguments = [self.server_port, events, connections, rate, event_type]
        done = subprocess.run(
            [sys.executable, "-m", "bench.load", *map(str, arguments)],
            capture_output=True,
            check=True,
            timeout=300,
        )
        *lines, took = done.stdout.decode().splitlines()
        accepted = {line.split()[0]: int(line.split()[1]) for line in lines}
        return accepted, int(took.split()[1]) / 1e9

    def await_arrivals(self, events: int, *, seconds: float = 120) -> Arrivals:
        """Wait until so many deliveries have come to the receiver."""
        until = time.monotonic() + seconds
        while True:
            arrivals = self.arrivals()
            if len(arrivals) >= events:
                return arrivals
            if time.monotonic() > until:
                raise SystemExit(f"only {len(arrivals)} of {events} deliveries arrived")
            time.sleep(0.05)


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
            _await_port(port)
            yield port
        finally:
            receiver.terminate()


@contextlib.contextmanager
def world(**settings: str) -> Iterator[World]:
    """Start a receiver and a server on fresh data, and end both."""
    server_port, receiver_port = free_port(), free_port()
    environment = {**os.environ, **settings}
    with tempfile.TemporaryDirectory() as folder:
        receiver = subprocess.Popen([sys.executable, "-m", "bench.receiver", str(receiver_port)])
        command = [sys.executable, "-m", "tidings", "serve", "--dev", "--port", str(server_port)]
        server = subprocess.Popen(
            [*command, "--data-dir", folder],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for port in (receiver_port, server_port):
                _await_port(port)
            yield World(server, receiver, server_port, receiver_port)
        finally:
            for process in (server, receiver):
                process.send_signal(signal.SIGTERM)
            for process in (server, receiver):
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _await_port(port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
