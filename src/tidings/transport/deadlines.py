"""One timer for the deadlines of all requests.

Nearly every request is answered long before its deadline, so beginning and ending to wait must
cost nothing: a place in a set. The timer is set to the earliest deadline there was, and looks
through the set when it fires; by then that request has mostly gone, and the next deadline is far.
"""

import asyncio
import math
from typing import Protocol

from tidings.core import limits


class Timed(Protocol):
    """Something that waits until `deadline`, a moment of the event loop's clock."""

    deadline: float

    def time_out(self) -> None:
        """End the wait."""
        ...


class Deadlines:
    """Ends each wait at its deadline, or `DEADLINE_COARSENESS_SECONDS` later at most."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[Timed] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = math.inf
        self._is_second_look = False

    def watch(self, one: Timed) -> None:
        """Call `time_out` of it when its deadline has passed, once, unless it is forgotten."""
        self._waiting.add(one)
        if one.deadline < self._fires_at:
            self._set(one.deadline)

    def forget(self, one: Timed) -> None:
        """Whatever it waited for has come."""
        self._waiting.discard(one)

    def close(self) -> None:
        """Forget all."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = moment
        self._timer = self._loop.call_at(moment, self._fired)

    def _fired(self) -> None:
        now, late = self._loop.time(), self._loop.time() - self._fires_at
        self._timer, self._fires_at = None, math.inf
        if late > limits.DEADLINE_STALL_SECONDS and not self._is_second_look:
            # We were held up, and answers may stand unread in sockets: those count first.
            self._is_second_look = True
            self._set(now + limits.DEADLINE_COARSENESS_SECONDS)
            return
        self._is_second_look = False
        for one in [one for one in self._waiting if one.deadline <= now]:
            self._waiting.discard(one)
            one.time_out()
        if self._waiting:
            earliest = min(one.deadline for one in self._waiting)
            # Many deadlines close to each other share one look through the set.
            self._set(max(earliest, now + limits.DEADLINE_COARSENESS_SECONDS))
