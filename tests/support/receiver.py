"""A real receiver on loopback that answers as a test tells it to, and remembers what it got."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    after_seconds: float = 0.0


Answering = Callable[[Received], Reply]


class Receiver:
    """Serves in a thread of its own. `replies` holds scripted replies by path, used up in order.

    Where nothing is scripted for a path, `answer` decides; by default it is 200.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.replies: dict[str, list[Reply]] = {}
        self.answer: Answering = lambda _: Reply()
        self._changed = threading.Condition()
        outer = self

        class Connection(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536  # head and body in one packet: two would wait for each other

            def do_POST(self) -> None:
                outer._serve(self)

            def do_GET(self) -> None:
                outer._serve(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def script(self, path: str, *replies: Reply | int) -> str:
        """Answer the next requests to a path so; answers the URL of the path."""
        self.replies[path] = [Reply(one) if isinstance(one, int) else one for one in replies]
        return self.url + path

    def at(self, path: str) -> list[Received]:
        """What came to a path."""
        return [one for one in self.received if one.path == path]

    def wait(self, path: str, count: int, *, seconds: float = 40) -> list[Received]:
        """Wait until so many requests have come to a path."""
        until = time.monotonic() + seconds
        with self._changed:
            while len(self.at(path)) < count:
                left = until - time.monotonic()
                assert left > 0, f"{len(self.at(path))} of {count} requests came to {path}"
                self._changed.wait(left)
        return self.at(path)

    def _serve(self, connection: BaseHTTPRequestHandler) -> None:
        body = connection.rfile.read(int(connection.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in connection.headers.items()}
        received = Received(connection.path, headers, body, time.time())
        with self._changed:
            self.received.append(received)
            scripted = self.replies.get(connection.path)
            self._changed.notify_all()
            reply = scripted.pop(0) if scripted else None
        reply = reply or self.answer(received)
        time.sleep(reply.after_seconds)
        with contextlib.suppress(ConnectionError):  # the server may have given up waiting
            connection.send_response(reply.status)
            for name, value in reply.headers.items():
                connection.send_header(name, value)
            connection.send_header("Content-Length", str(len(reply.body)))
            connection.end_headers()
            connection.wfile.write(reply.body)
