"""A real server as a process of its own, to be started, killed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from tools.ports import free_port

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class Server:
    """`tidings serve` on loopback with a data directory that outlives its processes."""

    def __init__(self, data_dir: Path, *options: str, is_dev: bool = True, **settings: str) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = data_dir.with_name(data_dir.name + ".log")
        self._options = ("--dev", *options) if is_dev else options
        self._settings = {f"TIDINGS_{name}": value for name, value in settings.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self.client = httpx2.Client(base_url=self.url, timeout=60, trust_env=False)

    @property
    def database(self) -> Path:
        """The file of its database."""
        return self.data_dir / "tidings.db"

    @property
    def write_ahead_log(self) -> Path:
        """What its database has not taken in yet."""
        return self.data_dir / "tidings.db-wal"

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether a process was started and not seen to end."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> "Server":
        """Start the process and wait until it is ready."""
        self.spawn()
        self.await_ready()
        return self

    def spawn(self, *program: str) -> None:
        """Start the process, and wait for nothing. `program` is a module that stands in for ours.

        It comes with arguments of its own, which stand before those of the command line.
        """
        started = program or ("tidings",)
        command = [sys.executable, "-m", *started, "serve", "--port", str(self.port)]
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--data-dir", str(self.data_dir), *self._options],
                env={**os.environ, **self._settings},
                stdout=output,
                stderr=output,
            )

    def await_ready(self) -> None:
        """Wait until the process answers that it is ready."""
        assert self._process is not None
        until = time.monotonic() + _START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"the server did not start:\n{self.output.read_text()}")
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def await_end(self, *, seconds: float) -> int:
        """Wait until the process has ended by itself; answers its exit code."""
        assert self._process is not None
        code = self._process.wait(timeout=seconds)
        self._process = None
        return code

    def kill(self) -> int:
        """End the process at once, whatever it is doing; answers its exit code."""
        assert self._process is not None
        self._process.kill()
        code = self._process.wait()
        self._process = None
        return code

    def stop(self) -> int:
        """Ask the process to stop; answers its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            self._process = None

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Call the API and answer the JSON; anything but success fails the test."""
        answer = self.client.request(method, path, json=body, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def subscribe(self, callback_url: str, event_type: str = "order.*", **members: Any) -> Any:
        """Create a subscription."""
        body = {"eventType": event_type, "callbackUrl": callback_url, **members}
        return self.call("POST", "/webhook-subscriptions", body)

    def publish(self, event_type: str = "order.shipped", **members: Any) -> Any:
        """Publish an event."""
        return self.call("POST", "/events", {"eventType": event_type, "data": {}, **members})

    def await_delivery(self, delivery_id: str, status: str, *, seconds: float = 40) -> Any:
        """Wait until a delivery has a status; answers it with its attempts."""
        return self._await_delivery(delivery_id, lambda one: one["status"] == status, seconds)

    def await_attempts(self, delivery_id: str, count: int, *, seconds: float = 30) -> Any:
        """Wait until so many attempts of a delivery are on record; answers it with them."""
        return self._await_delivery(delivery_id, lambda one: one["attemptCount"] >= count, seconds)

    def _await_delivery(
        self, delivery_id: str, is_so: Callable[[Any], bool], seconds: float
    ) -> Any:
        until = time.monotonic() + seconds
        while not is_so(delivery := self.call("GET", f"/deliveries/{delivery_id}")):
            assert time.monotonic() < until, f"it does not come to pass: {delivery}"
            time.sleep(0.02)
        return delivery

    def deliveries(self, **filters: str) -> list[Any]:
        """The newest deliveries, at most 200."""
        listed = self.call("GET", "/deliveries", params={"limit": "200", **filters})
        return list(listed["items"])

    def _is_ready(self) -> bool:
        try:
            return bool(self.client.get("/health/ready").is_success)
        except httpx2.TransportError:
            return False
