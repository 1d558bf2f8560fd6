"""The receiver of the demonstration: what a subscriber has to write, and switches to break it."""

import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

from tidings.signing import InvalidSignature, verify
from tidings.system import SystemClock

OK: Final = 200
_FORBIDDEN: Final = 403
_BROKEN: Final = 500
_PATIENCE_SECONDS: Final = 15


@dataclass(frozen=True, slots=True)
class Received:
    """A request that came, and how it was answered."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at_ms: int
    is_signed: bool
    answered: int

    @property
    def webhook_id(self) -> str:
        """The event's id."""
        return self.headers["webhook-id"]


class Receiver:
    """Listens on loopback. `breaks` counts the requests that are still answered with 500."""

    def __init__(self) -> None:
        self.secrets: list[str] = []
        self.breaks = 0
        self._arrived: queue.SimpleQueue[Received] = queue.SimpleQueue()
        receiver = self

        class Connection(BaseHTTPRequestHandler):
            """One connection; every POST is answered by the receiver."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(receiver.receive(self.path, headers, body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Stay silent: the story tells what arrives."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _fault: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def receive(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Take a request and answer its status. A real receiver begins like this one."""
        now_ms = SystemClock().now_ms()
        try:
            verify(headers, body, self.secrets, now_seconds=now_ms // 1_000)
        except InvalidSignature:
            is_signed, status = False, _FORBIDDEN
        else:
            is_signed, status = True, _BROKEN if self.breaks else OK
        self.breaks = max(0, self.breaks - 1)
        self._arrived.put(Received(path, headers, body, now_ms, is_signed, status))
        return status

    def next(self) -> Received | None:
        """The next request; None if none comes for a long time."""
        try:
            return self._arrived.get(timeout=_PATIENCE_SECONDS)
        except queue.Empty:
            return None
