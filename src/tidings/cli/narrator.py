"""The voice of the demonstration: calm lines, in colour on a terminal and plain elsewhere."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from tidings.cli.demo_receiver import OK, Received
from tidings.cli.output import shown, words

_SIDE: Final = "   │ "
_HEADERS: Final = (
    "content-type",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
)
_CURL: Final = """\
     curl -i http://127.0.0.1:8080/webhook-subscriptions \\
       -H 'Content-Type: application/json' \\
       -d '{"eventType": "order.shipped", "callbackUrl": "http://127.0.0.1:9000/orders"}'"""
_NEXT: Final = (
    ("make serve", "a server to play with; then, in another terminal:"),
    ("docs/start.md", "the first quarter of an hour, step by step"),
    ("docs/guides/verifying.md", "how a receiver checks signatures, in three languages"),
    ("docs/guides/retries.md", "retries, dead letters and replays"),
)


class Narrator:
    """Tells what happens."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._chapters = 0

    def title(self, text: str) -> None:
        """Begin."""
        self._line(f" {text}", "bold")

    def chapter(self, text: str) -> None:
        """Begin a part."""
        self._chapters += 1
        self._line("")
        self._line(f" {self._chapters}  {text}", "bold cyan")

    def say(self, text: str) -> None:
        """Explain."""
        self._line(f"   {text}")

    def shell(self, command: str) -> None:
        """Show a command that a person would type."""
        self._line(f"   $ {command}", "bold")

    def call(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Show a request to the API."""
        self._line(f"   {method} {path}", "bold")
        self._line(f"   {json.dumps(body)}")

    def answer(self, text: str) -> None:
        """Show what the API answered."""
        self._line(f"   → {text}", "green")

    def request(self, received: Received) -> None:
        """Show a whole request that the receiver got."""
        self._line(f"   ┌ the receiver gets POST {received.path}", "bold")
        for name, value in received.headers.items():
            if name in _HEADERS:
                self._line(f"{_SIDE}{name}: {shown(value)}")
        self._line(_SIDE.rstrip())
        self._line(_SIDE + shown(received.body.decode()))
        self._verdict(received)

    def attempt(self, received: Received, *, since: Received | None = None) -> None:
        """Show what tells one attempt from another, and how long after the one before it came."""
        waited = "" if since is None else f", {(received.at_ms - since.at_ms) / 1_000:.1f} s later"
        self._line(f"   ┌ POST {received.path}{waited}", "bold")
        for name in ("webhook-id", "webhook-signature"):
            self._line(f"{_SIDE}{name}: {shown(received.headers[name])}")
        self._verdict(received)

    def members(self, thing: Mapping[str, Any]) -> None:
        """Show some members of a thing."""
        for name, value in thing.items():
            self._line(f"   {words(name):<20}{shown(value)}")

    def attempts(self, attempts: Sequence[Mapping[str, Any]]) -> None:
        """Show the history of a delivery."""
        for one in attempts:
            style = "green" if one["outcome"] == "delivered" else "red"
            self._line(
                f"   attempt {one['number']}   {one['startedAt']}   "
                f"answered {one['statusCode']}   {one['outcome']}",
                style,
            )

    def farewell(self) -> None:
        """Say where to look next."""
        self._line("")
        self._line(" That was all of it. Where to look next:", "bold cyan")
        for what, why in _NEXT:
            self._line(f"   {what:<26}{why}")
            if what == "make serve":
                self._line(_CURL)

    def _verdict(self, received: Received) -> None:
        style = "green" if received.answered == OK else "red"
        self._line(f"   └ the signature fits; the answer is {received.answered}", style)

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))
