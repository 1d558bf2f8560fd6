"""A receiver to play with: it checks signatures, drops repeats, answers challenges, and prints.

    python examples/receiver.py [--port 9000] [--secret whsec_abc123]

How receivers look in other languages stands in docs/guides/verifying.md.
"""

import argparse
import json
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from tidings.signing import InvalidSignature, verify


class Receiver(BaseHTTPRequestHandler):
    """Answers every POST."""

    secret = ""
    seen: set[str] = set()  # noqa: RUF012 - a real receiver keeps these in its database

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            webhook_id = verify(
                dict(self.headers), body, [self.secret], now_seconds=int(time.time())
            )
        except InvalidSignature as fault:
            self.answer(400, f"refused: {fault}")
            return
        event = json.loads(body)
        if event["eventType"] == "tidings.verification":
            challenge = event["data"]["challenge"]
            self.answer(200, f"proven: {webhook_id}", json.dumps({"challenge": challenge}))
            return
        is_new = webhook_id not in self.seen
        self.seen.add(webhook_id)
        self.answer(200, f"{'received' if is_new else 'repeated'}: {body.decode()}")

    def answer(self, status: int, what: str, said: str = "") -> None:
        print(f"{status} {what}", flush=True)
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing but what `answer` says."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--secret", default="whsec_abc123")
    chosen = parser.parse_args()
    Receiver.secret = chosen.secret
    server = HTTPServer(("127.0.0.1", chosen.port), Receiver)
    print(f"waiting for events on http://127.0.0.1:{chosen.port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
