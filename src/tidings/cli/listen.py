"""`tidings listen`: real events on a developer's machine, without a public URL."""

from typing import Annotated

import typer

from tidings.cli.command import command
from tidings.cli.following import Follower, Missing, Told
from tidings.cli.forwarding import Forwarder
from tidings.cli.output import Screen, visible
from tidings.cli.remote import Remote
from tidings.core.timestamp import format_timestamp
from tidings.signing import encode_key
from tidings.system import SystemChance, SystemClock

app = typer.Typer()

_SECRET_BYTES = 32
_SUCCESS = range(200, 300)


@command(app, "listen")
def listen(
    remote: Remote,
    screen: Screen,
    *,
    forward_to: Annotated[
        str,
        typer.Option(metavar="URL", help="Where to, such as http://127.0.0.1:3000/webhooks."),
    ],
    event_type: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Only events of these types, such as order.*."),
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option(help="The secret to sign with; a new one, which is shown, unless given."),
    ] = None,
) -> None:
    """Forward events to a receiver on this machine as they are accepted, until Ctrl-C.

    Each is signed and sent once, in order, and shown with the answer. The connection to the server
    is taken up again by itself, behind the last event that was forwarded.
    """
    used = secret or encode_key(SystemChance().key_bytes(_SECRET_BYTES))
    with Forwarder(forward_to, used) as forwarder:

        def begin() -> None:
            _say(f"Listening to {event_type or '*'} on {remote.server}")
            _say(f"Forwarding to {forwarder.url}")
            if secret is None:
                _say(f"Signed with the secret {used}")

        for heard in Follower(remote, event_type, _say).events(begin):
            if isinstance(heard, Told):
                _forward(forwarder, heard, screen)
            else:
                _show_missing(heard, screen)


def _forward(forwarder: Forwarder, told: Told, screen: Screen) -> None:
    clock = SystemClock()
    began_ms = clock.monotonic_ms()
    answer = forwarder.forward(told.event_id, told.body, told.hops)
    duration_ms = round(clock.monotonic_ms() - began_ms)
    is_answered = isinstance(answer, int)
    screen.value(
        {
            "eventId": told.event_id,
            "eventType": told.event_type,
            "forwardedTo": forwarder.url,
            "statusCode": answer if is_answered else None,
            "error": None if is_answered else answer,
            "durationMs": duration_ms,
        }
    )
    mark = " " if answer in _SUCCESS else "!"
    at = format_timestamp(clock.now_ms())
    screen.line(f"{at} {mark} {told.event_type} {told.event_id}: {answer} ({duration_ms} ms)")


def _show_missing(missing: Missing, screen: Screen) -> None:
    screen.value({"gap": {"since": missing.since, "until": missing.until}})
    _say(f"the server keeps events between {missing.since} and {missing.until} no longer")


def _say(line: str) -> None:
    """Tell people how it goes, beside what the command puts out."""
    typer.echo(visible(line), err=True)
