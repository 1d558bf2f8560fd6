"""Frames of a stream of events, as the HTML standard has server-sent events.

A frame with an event is the event's id in the stream, its type and the body that receivers get. A
body holds a line break only where its publisher put one between two members; it then takes several
lines, and a carriage return in it comes out as a line feed.
"""

import re
from typing import Annotated, Final

from msgspec import Meta

from tidings.api.answers import encode
from tidings.api.wire.base import Shown, ShownMoment
from tidings.api.wire.problems import Problem
from tidings.core import limits
from tidings.core.identifier import seq_drawn_at_ms
from tidings.core.timestamp import format_timestamp

_LINE_BREAK: Final = re.compile(rb"\r\n|\r|\n")
_RETRY: Final = b"retry: %d\n" % limits.STREAM_RETRY_MS

FAREWELL: Final = _RETRY + b": the server stops; come back\n\n"
"""What ends a stream because the server stops."""


class StreamGap(Shown):
    """Events that were accepted between these moments are gone; the stream goes on behind them."""

    since: ShownMoment
    until: ShownMoment
    detail: Annotated[str, Meta(description="For people.")]


def opening_frame(position: str) -> bytes:
    """The first frame: the place from which on events are told, and when to come back."""
    return _RETRY + b": listening\nid: %b\n\n" % position.encode("ascii")


def event_frame(position: str, event_type: str, body: bytes, hops: int = 0) -> bytes:
    """The frame of an event. How far it has travelled stands in a field that others pass over."""
    if b"\n" in body or b"\r" in body:
        body = _LINE_BREAK.sub(b"\ndata: ", body)
    return b"id: %b\nevent: %b\n%bdata: %b\n\n" % (
        position.encode("ascii"),
        event_type.encode("ascii"),
        b"webhook-hops: %d\n" % hops if hops else b"",
        body,
    )


def heartbeat_frame(position: str) -> bytes:
    """The frame that tells that nothing came up to a place: a comment, which no client shows."""
    return b": nothing new\nid: %b\n\n" % position.encode("ascii")


def gap_frame(position: str, after_seq: int, through_seq: int) -> bytes:
    """The frame that tells that events between two places are gone."""
    since, until = sorted((seq_drawn_at_ms(after_seq), seq_drawn_at_ms(through_seq)))
    gap = StreamGap(
        since=format_timestamp(since),
        until=format_timestamp(until),
        detail="events between these moments are kept no longer and cannot be told",
    )
    return event_frame(position, "gap", encode(gap))


def error_frame(problem: Problem) -> bytes:
    """The last frame of a stream that the server ends for a reason."""
    return b"event: error\ndata: %b\n\n" % encode(problem)
