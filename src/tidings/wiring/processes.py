"""Several processes that serve one port together: started, watched, and stopped as one."""

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any, Protocol

_LOG = logging.getLogger(__name__)
_AGAIN_SECONDS = 1.0
_EXIT_FAULT = 70


class ServeOne(Protocol):
    """Serves in the present process until a signal; answers the exit code."""

    def __call__(self, *, is_first: bool) -> int: ...


def several(count: int, serve_one: ServeOne, *, exit_cannot_start: int) -> int:
    """Serve in `count` processes until SIGTERM or SIGINT; answers the exit code.

    A process that dies is followed by another. When one cannot start, all are stopped: what keeps
    one from starting keeps the others as well. This process does nothing but wait, so there is
    nothing in it that a fork could break.
    """
    running: set[int] = set()
    is_over = False

    def stop(*_: Any) -> None:
        nonlocal is_over
        is_over = True
        for process in running:
            _tell(process, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for index in range(count):
        running.add(_start(serve_one, is_first=index == 0))
    code = 0
    while running:
        process, status = _next_ended()
        running.discard(process)
        ended = os.waitstatus_to_exitcode(status)
        if ended == exit_cannot_start and not is_over:
            code = exit_cannot_start
            stop()
        elif not is_over:
            _LOG.error("a process has ended with %s; another one takes its place", ended)
            time.sleep(_AGAIN_SECONDS)  # noqa: TID251 - nothing else happens in this process
            if not is_over:
                running.add(_start(serve_one, is_first=False))
    return code


def _start(serve_one: Callable[..., int], *, is_first: bool) -> int:
    process = os.fork()
    if process:
        return process
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    code = _EXIT_FAULT
    try:
        code = serve_one(is_first=is_first)
    finally:
        # What stands behind the fork is the parent's to do.
        os._exit(code)


def _next_ended() -> tuple[int, int]:
    """Wait for a process to end, also when a signal comes meanwhile."""
    return os.wait()


def _tell(process: int, number: signal.Signals) -> None:
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return
