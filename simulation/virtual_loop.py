"""Event loops in virtual time: no selector, no threads, no clock; time jumps to what comes next.

One `Timeline` holds everything that is to happen. Each process of the world has a `VirtualLoop` on
it, so that killing the process is killing its loop: nothing of it runs ever again, and no `finally`
of its coroutines gets a last word.
"""

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVarTuple

Arguments = TypeVarTuple("Arguments")
STEPS_AT_ONE_MOMENT_MAX = 200_000
"""Whatever takes more steps than this without any time passing goes round in circles."""


class Spinning(Exception):
    """The program takes step after step, and time does not pass."""


class Timeline:
    """What is to happen, in the order of its moments, in seconds since the world began."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._loops: list[VirtualLoop] = []
        self._count = 0
        self._is_stopped = False

    def loop(self, on_fault: Callable[[dict[str, Any]], None]) -> "VirtualLoop":
        """A new event loop; `on_fault` hears of exceptions that nobody caught."""
        # What is abstract about it are threads, sockets, files and signals: all that is no part of
        # this world.
        made = VirtualLoop(self, on_fault)  # type: ignore[abstract]
        self._loops.append(made)
        return made

    def stop(self) -> None:
        """Let `run_until` return after the present step."""
        self._is_stopped = True

    def run_until(self, moment: float) -> None:
        """Let everything happen up to a moment, or until `stop`. Raises `Spinning`."""
        ready, timers = self._ready, self._timers
        steps = 0
        running: VirtualLoop | None = None
        try:
            while not self._is_stopped:
                if not ready:
                    if not timers or timers[0][0] > moment:
                        self.now = max(self.now, moment)
                        return
                    when, _, timer = heapq.heappop(timers)
                    if when > self.now:
                        self.now = when
                        steps = 0
                    handle: asyncio.Handle = timer
                else:
                    handle = ready.popleft()
                loop: VirtualLoop = handle._loop  # type: ignore[attr-defined]
                if handle._cancelled or loop.is_dead:
                    continue
                if loop is not running:
                    running = loop
                    events._set_running_loop(loop)
                handle._run()
                steps += 1
                if steps > STEPS_AT_ONE_MOMENT_MAX:
                    raise Spinning(f"at {self.now:.3f} s: {handle!r}")
        finally:
            events._set_running_loop(None)

    def bury(self) -> None:
        """Close the coroutines of all loops, dead or alive, at the end of the world."""
        for loop in self._loops:
            loop.kill()
        for loop in self._loops:
            for one in list(loop.unfinished):
                coroutine = one.get_coro()
                with suppress(RuntimeError):
                    assert coroutine is not None
                    coroutine.close()
            loop.unfinished.clear()
        self._ready.clear()
        self._timers.clear()

    def soon(self, handle: asyncio.Handle) -> None:
        """Have a handle run at this moment, after those that were asked for before."""
        self._ready.append(handle)

    def later(self, when: float, timer: asyncio.TimerHandle) -> None:
        """Have a timer run at a moment; those of one moment run in the order of asking."""
        self._count += 1
        heapq.heappush(self._timers, (max(when, self.now), self._count, timer))


class _Numbered(asyncio.Task[Any]):
    """Hashes by the order of creation, so that sets of them have an order without chance."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


class VirtualLoop(asyncio.AbstractEventLoop):
    """As much of an event loop as coroutines need. Threads and sockets do not exist here."""

    def __init__(self, timeline: Timeline, on_fault: Callable[[dict[str, Any]], None]) -> None:
        self.is_dead = False
        self.unfinished: dict[asyncio.Task[Any], None] = {}
        self._timeline = timeline
        self._on_fault = on_fault
        self._count = 0

    def kill(self) -> None:
        """Let nothing of this loop run ever again."""
        self.is_dead = True
        for one in self.unfinished:
            one._log_destroy_pending = False  # type: ignore[attr-defined]

    # What coroutines, futures and timers ask of a loop.

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._timeline.now

    def call_soon(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """See `asyncio`."""
        handle = asyncio.Handle(callback, args, self, context)
        self._timeline.soon(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        return self.call_at(self._timeline.now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """See `asyncio`."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timeline.later(when, timer)
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        """See `asyncio`."""
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        """See `asyncio`."""
        self._count += 1
        made = _Numbered(
            coro, self._count, loop=self, name=name or f"step-{self._count}", context=context
        )
        self.unfinished[made] = None
        made.add_done_callback(self._finished)
        return made

    def _finished(self, done: asyncio.Task[Any]) -> None:
        del self.unfinished[done]

    def get_debug(self) -> bool:
        """See `asyncio`."""
        return False

    def is_running(self) -> bool:
        """See `asyncio`."""
        return True

    def is_closed(self) -> bool:
        """See `asyncio`."""
        return self.is_dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell the world of an exception that nobody caught."""
        if not self.is_dead:
            self._on_fault(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its moment comes."""
