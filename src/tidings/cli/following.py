"""Following the stream of events over broken connections and restarts, without losing any."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from tidings.cli.frames import Frame, FrameReader, FrameTooLarge
from tidings.cli.output import CommandFailed, ExitCode
from tidings.cli.remote import Remote
from tidings.core import limits
from tidings.system import SystemChance, SystemClock

PATIENCE_SECONDS: Final = 10
"""How long a server that has never answered is waited for."""
SILENCE_SECONDS: Final = 3 * limits.STREAM_HEARTBEAT_SECONDS
"""A connection on which nothing comes for so long, not even a heartbeat, is given up."""
_WAIT_SECONDS_MIN: Final = 0.2
_WAIT_SECONDS_MAX: Final = 5.0
_WAIT_FACTOR: Final = 1.6


class Told(msgspec.Struct, frozen=True):
    """An event that was heard: its id, its type, and what receivers get."""

    event_id: str
    event_type: str
    body: bytes
    hops: int


class Missing(msgspec.Struct, frozen=True):
    """Events between two moments that the server keeps no longer."""

    since: str
    until: str


class Follower:
    """Follows the events of a server. `say` is told, in lines for people, how that goes."""

    def __init__(self, remote: Remote, event_type: str | None, say: Callable[[str], None]) -> None:
        self._remote = remote
        self._event_type = event_type
        self._say = say
        self._clock = SystemClock()
        self._chance = SystemChance()
        self._last_id = ""
        self._waits = 0
        self._has_connected = False
        self._is_away = False

    def events(self, on_connected: Callable[[], None]) -> Iterator[Told | Missing]:
        """Everything that is accepted from the first connection on, in order, without end.

        What was taken from here counts as done when the next is asked for; what was not is taken
        again after a break. Raises `CommandFailed` when the server refuses, or never answers.
        """
        begun_ms = self._clock.monotonic_ms()
        while True:
            try:
                yield from self._connection(on_connected)
            except CommandFailed as failure:
                waited_ms = self._clock.monotonic_ms() - begun_ms
                if not self._may_pass(failure, waited_ms):
                    raise
            self._wait()

    def _connection(self, on_connected: Callable[[], None]) -> Iterator[Told | Missing]:
        """What one connection brings, until it ends."""
        reader = FrameReader()
        with self._remote.listen(
            self._event_type, self._last_id, silence_seconds=SILENCE_SECONDS
        ) as pieces:
            for number, piece in enumerate(pieces):
                self._connected(on_connected)
                if number:  # more than the greeting
                    self._waits = 0
                try:
                    for frame in reader.feed(piece):
                        yield from self._heard(frame)
                        self._last_id = frame.last_id or self._last_id
                except FrameTooLarge:
                    raise CommandFailed(
                        f"{self._remote.server} sends what no server of Tidings would",
                        ExitCode.FAILED,
                    ) from None
                # A heartbeat moves the place on too.
                self._last_id = reader.last_id or self._last_id
        self._lost(f"{self._remote.server} ended the stream")

    def _heard(self, frame: Frame) -> Iterator[Told | Missing]:
        try:
            content: Any = json.loads(frame.data)
            event_id = content.get("eventId")
        except (ValueError, AttributeError):
            return
        if isinstance(event_id, str):
            yield Told(event_id, frame.event, frame.data, frame.hops)
        elif frame.event == "gap":
            yield Missing(str(content.get("since")), str(content.get("until")))
        elif frame.event == "error":
            self._say(f"the server says: {content.get('detail')} ({content.get('code')})")

    def _connected(self, on_connected: Callable[[], None]) -> None:
        if not self._has_connected:
            self._has_connected = True
            on_connected()
        elif self._is_away:
            self._say("connected again")
        self._is_away = False

    def _lost(self, why: str) -> None:
        if not self._is_away:
            self._is_away = True
            self._say(f"{why}; trying until it can be reached")

    def _may_pass(self, failure: CommandFailed, waited_ms: float) -> bool:
        """Whether to try again after a failure."""
        if failure.problem == "invalid_cursor" and self._last_id:
            self._say("the server does not know where we left off; listening from now on")
            self._last_id = ""
            return True
        if failure.code is not ExitCode.UNAVAILABLE:
            return False
        if self._has_connected:
            self._lost(failure.line)
            return True
        if not self._is_away:
            self._is_away = True
            self._say(f"{failure.line}; trying for {PATIENCE_SECONDS} seconds")
        return waited_ms < PATIENCE_SECONDS * 1_000

    def _wait(self) -> None:
        longest = min(_WAIT_SECONDS_MIN * _WAIT_FACTOR**self._waits, _WAIT_SECONDS_MAX)
        self._waits += 1
        threading.Event().wait(longest * (0.5 + self._chance.jitter() / 2))
