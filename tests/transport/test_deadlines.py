"""One timer serves all deadlines: each in its time, whichever comes first."""

import asyncio
import contextlib

import pytest

from tests.support.waiting import eventually
from tidings.transport.deadlines import Deadlines


class Waiting:
    """Something with a deadline so many seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self.deadline = asyncio.get_running_loop().time() + seconds
        self.ended: list[float] = []

    def time_out(self) -> None:
        self.ended.append(asyncio.get_running_loop().time())


async def test_each_ends_once_and_not_before_its_deadline() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    waiting = [Waiting(seconds) for seconds in (0.3, 0.01, 0.1, 0.0, 0.05, 0.11)]
    for one in waiting:
        deadlines.watch(one)
    await eventually(lambda: all(one.ended for one in waiting))
    for one in waiting:
        (at,) = one.ended
        assert at >= one.deadline


async def test_a_later_deadline_is_kept_after_an_earlier_one_is_forgotten() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    gone, late = Waiting(0.01), Waiting(0.1)
    deadlines.watch(gone)
    deadlines.watch(late)
    deadlines.forget(gone)
    await eventually(lambda: bool(late.ended))
    assert not gone.ended


async def test_a_shorter_deadline_does_not_wait_for_a_longer_one() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    long, short = Waiting(60), Waiting(0.01)
    deadlines.watch(long)
    deadlines.watch(short)
    await eventually(lambda: bool(short.ended))
    assert not long.ended
    deadlines.close()


async def test_whoever_begins_to_wait_while_others_end_is_not_forgotten() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    second = Waiting(0.05)

    class Beginning(Waiting):
        def time_out(self) -> None:
            deadlines.watch(second)

    deadlines.watch(Beginning(0.01))
    await eventually(lambda: bool(second.ended))


class HeldUpLoop(asyncio.SelectorEventLoop):
    """A loop whose clock a test moves, and whose timers it fires."""

    now = 100.0

    def time(self) -> float:
        return self.now

    def fire(self) -> None:
        """Run the one timer that is set."""
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        (timer,) = [one for one in timers if not one.cancelled()]
        timer._run()
        timer.cancel()


@pytest.mark.parametrize("is_answered", [True, False])
def test_after_a_pause_answers_are_looked_for_before_any_deadline_counts(
    is_answered: bool,
) -> None:
    ended: list[float] = []

    class One:
        deadline = HeldUpLoop.now + 1

        def time_out(self) -> None:
            ended.append(self.deadline)

    with contextlib.closing(HeldUpLoop()) as loop:
        deadlines, one = Deadlines(loop), One()
        deadlines.watch(one)
        loop.now += 30
        loop.fire()
        assert ended == []
        if is_answered:
            deadlines.forget(one)
        # However long that look was held up in its turn: nothing waits for ever.
        loop.now += 30
        loop.fire()
        assert len(ended) == (not is_answered)
