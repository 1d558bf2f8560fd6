"""Drives the rules of ownership: statements to the database, and duties of this process.

The rules are in `tidings.core.ownership`. A statement gets a coroutine of its own, because it may
be late; what a duty means for the memory is done at once, and what it needs of the database follows
in a coroutine. A session that is over is followed by another one, under an id that was never used,
as soon as nothing of the old one is under way any more.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

from tidings.core import limits
from tidings.core.health import Health
from tidings.core.ownership import (
    BeginShards,
    ClaimShards,
    CloseSession,
    CutShards,
    DropShards,
    Duty,
    EndSession,
    HandOverShards,
    OpenSession,
    Ownership,
    ReleaseShards,
    RenewSession,
    Statement,
)
from tidings.engine.arrivals import ArrivalReader
from tidings.engine.dispatcher import Dispatcher
from tidings.engine.lease import Lease
from tidings.ports.clock import Chance, Clock
from tidings.ports.cluster import ClusterStore
from tidings.ports.store import Committed, SessionLost, StoreUnavailable

_LOG = logging.getLogger(__name__)
_STATEMENTS = (
    OpenSession,
    RenewSession,
    EndSession,
    ClaimShards,
    ReleaseShards,
    CloseSession,
)
_SESSION_BYTES = 16
_STORE_AWAY_SECONDS = 0.25
_HEALTHS_AT_ONCE = 5_000


class Owner(Lease):
    """Owns a fair share of the shards, from `run` until `leave`."""

    def __init__(
        self,
        store: ClusterStore,
        dispatcher: Dispatcher,
        reader: ArrivalReader,
        clock: Clock,
        chance: Chance,
        *,
        on_begun: Callable[[], None],
    ) -> None:
        self.take_overs = 0
        self._store = store
        self._dispatcher = dispatcher
        self._tenures = dispatcher.scheduler.tenures
        self._reader = reader
        self._clock = clock
        self._chance = chance
        self._on_begun = on_begun
        self._changed = asyncio.Event()
        self._steps: set[asyncio.Task[None]] = set()
        self._given_up: set[asyncio.Task[None]] = set()
        self._beginning: dict[int, object] = {}
        self._handed: set[int] = set()
        self._cutting: set[int] = set()
        self._is_leaving = False
        self._rules = self._new_session()

    # What others may ask, and tell.

    @property
    def shards_owned(self) -> int:
        """How many shards are ours."""
        return len(self._rules.owned)

    @property
    def lease_age_seconds(self) -> float:
        """How long ago the renewal was sent that the lease counts from; 0 without a lease."""
        began_ms = self._rules.lease_began_ms
        return max(0.0, self._clock.boot_ms() - began_ms) / 1_000 if began_ms > 0 else 0.0

    def owns(self, shard: int) -> bool:
        """Whether a shard is ours, and not only for as long as it takes to hand it over."""
        return self._rules.may_send(shard, self._clock.boot_ms())

    def holds(self) -> bool:
        """See `Lease`."""
        return self._clock.boot_ms() < self._rules.sends_until_ms

    def fenced(self) -> None:
        """See `Lease`."""
        self._rules.fenced()
        self._do_duties()

    def committed(self, _changes: Committed) -> None:
        """See whether that was the last result of a shard that is handed over."""
        if self._handed:
            self._changed.set()

    # From the beginning to the end.

    async def run(self) -> None:
        """Renew the lease, claim and hand over, until everything is handed over on `leave`."""
        self._store.use_session(self._rules.session)
        while True:
            self._carry_out()
            if self._rules.is_over:
                await self._come_to_rest()
                if self._is_leaving:
                    return
                self._rules = self._new_session()
                self._store.use_session(self._rules.session)
            else:
                await self._pause()

    def leave(self) -> None:
        """Begin to hand over everything; `run` ends when that is done."""
        self._is_leaving = True
        self._rules.leave(self._clock.boot_ms())
        self._changed.set()

    def give_up(self) -> None:
        """Do nothing any more, and leave what is ours to those who find the lease expired."""
        self._store.use_session(None)
        for step in self._steps:
            step.cancel()
        self._drop(frozenset(range(limits.SHARDS)))

    def _new_session(self) -> Ownership:
        session = self._chance.key_bytes(_SESSION_BYTES).hex()
        return Ownership(session, now_ms=self._clock.boot_ms())

    async def _come_to_rest(self) -> None:
        """Wait until nothing of the session is under way that could be taken for the next one's."""
        self._store.use_session(None)
        for step in self._steps:
            step.cancel()
        await asyncio.gather(*self._steps, return_exceptions=True)
        await self._wait_for_given_up()

    async def _wait_for_given_up(self) -> None:
        if self._given_up:
            await asyncio.wait(self._given_up)
        await self._dispatcher.recorder.wait_for_write()

    async def _pause(self) -> None:
        seconds = max(0.0, self._rules.next_wake_ms() - self._clock.boot_ms()) / 1_000
        timer = asyncio.get_running_loop().call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()
            self._changed.clear()

    # What the rules want.

    def _carry_out(self) -> None:
        self._look_for_quiet()
        for command in self._rules.take_commands(self._clock.boot_ms()):
            if isinstance(command, _STATEMENTS):
                self._begin_step(self._run(self._rules, command))
            else:
                self._do(command)
        # What was never begun is quiet as soon as it is handed over.
        self._look_for_quiet()

    def _do_duties(self) -> None:
        """Do what cannot wait; statements can."""
        self._changed.set()
        if self._rules.is_over:
            self._carry_out()

    def _begin_step(self, steps: Coroutine[Any, Any, None]) -> None:
        begun = asyncio.get_running_loop().create_task(steps)
        self._steps.add(begun)
        begun.add_done_callback(self._step_over)

    def _step_over(self, step: asyncio.Task[None]) -> None:
        self._steps.discard(step)
        self._changed.set()

    async def _run(self, rules: Ownership, statement: Statement) -> None:
        """Have the database carry out a statement."""
        try:
            async with asyncio.timeout(limits.COORDINATION_TIMEOUT_MS / 1_000):
                answer = await self._store.coordinate(statement)
        except (StoreUnavailable, TimeoutError) as fault:
            _LOG.warning("a statement about shards failed: %r", fault)
            rules.failed(statement, self._clock.boot_ms())
        except Exception:  # noqa: BLE001 - its effect is as unknown
            _LOG.exception("a statement about shards failed")
            rules.failed(statement, self._clock.boot_ms())
        else:
            rules.answered(statement, answer, self._clock.boot_ms())
            # Sending may have stood still for the lease.
            self._dispatcher.wake()

    def _do(self, duty: Duty) -> None:
        shards = frozenset(duty.shards)
        if not shards:
            return
        match duty:
            case BeginShards():
                self._begin(shards, is_take_over=duty.are_from_lost_owner)
            case HandOverShards():
                self._hand_over(shards)
            case CutShards():
                self._cut(shards)
            case DropShards():
                self._drop(shards)

    # Beginning.

    def _begin(self, shards: frozenset[int], *, is_take_over: bool) -> None:
        mark = object()
        self._beginning.update(dict.fromkeys(shards, mark))
        if is_take_over:
            self.take_overs += len(shards)
        self._begin_step(self._find_rows(shards, mark))

    async def _find_rows(self, shards: frozenset[int], mark: object) -> None:
        """Look for what there is to do in shards that are ours now, until it is known."""
        await self._wait_for_given_up()
        while shards := self._still(shards, mark):
            try:
                await self._reader.include(shards)
                with_rows = await self._store.list_subscriptions_with_deliveries(shards)
                healths = await self._load_healths(shards)
                silences = await self._store.list_silences(shards)
            except StoreUnavailable as fault:
                _LOG.warning("shards wait for the store: %s", fault)
                await asyncio.sleep(_STORE_AWAY_SECONDS)
            except Exception:  # noqa: BLE001 - nobody else works on them
                _LOG.exception("shards could not be begun, and will be")
                await asyncio.sleep(_STORE_AWAY_SECONDS)
            else:
                self._begun(self._still(shards, mark), with_rows, healths, silences)
                return

    def _still(self, shards: frozenset[int], mark: object) -> frozenset[int]:
        """Those that were not handed over or dropped since."""
        return frozenset(one for one in shards if self._beginning.get(one) is mark)

    async def _load_healths(self, shards: Collection[int]) -> dict[str, Health]:
        healths: dict[str, Health] = {}
        known = sorted(self._tenures.subscriptions_of(shards))
        for start in range(0, len(known), _HEALTHS_AT_ONCE):
            some = known[start : start + _HEALTHS_AT_ONCE]
            healths |= await self._store.load_healths(some)
        return healths

    def _begun(
        self,
        shards: Collection[int],
        with_rows: Collection[str],
        healths: Mapping[str, Health],
        silences: Mapping[int, int],
    ) -> None:
        now_ms = self._clock.now_ms()
        for shard in shards:
            del self._beginning[shard]
        noted = self._reader.tell(shards)
        for subscription_id in self._tenures.subscriptions_of(shards):
            self._dispatcher.forget_health(subscription_id)
        for subscription_id, health in healths.items():
            self._dispatcher.restore_health(subscription_id, health)
        self._tenures.begin(
            shards,
            {*with_rows, *noted},
            healths,
            now_ms=now_ms,
            silent_until_ms={shard: now_ms + left_ms for shard, left_ms in silences.items()},
        )
        self._reader.nudge()
        self._on_begun()
        self._dispatcher.wake()

    # Letting go.

    def _let_go(self, shards: frozenset[int]) -> None:
        for shard in shards:
            self._beginning.pop(shard, None)
        self._reader.exclude(shards)

    def _hand_over(self, shards: frozenset[int]) -> None:
        self._let_go(shards)
        self._tenures.hand_over(shards)
        self._handed |= shards

    def _look_for_quiet(self) -> None:
        if not self._handed:
            return
        quiet = self._handed - self._cutting - self._dispatcher.busy_shards()
        self._handed -= quiet
        for shard in sorted(quiet):
            self._rules.quiet(shard)
        if quiet:
            self._changed.set()

    def _cut(self, shards: frozenset[int]) -> None:
        """Give up requests; whoever owns the shard next waits for their deadlines."""
        due_at_ms = self._tenures.due_after_cut(shards, self._clock.now_ms())
        self._give_up(shards)
        if due_at_ms:
            self._cutting |= shards
            self._begin_step(self._postpone(shards, due_at_ms))

    async def _postpone(self, shards: frozenset[int], due_at_ms: Mapping[int, int]) -> None:
        while not self._cutting.isdisjoint(shards):
            try:
                await self._store.postpone(due_at_ms)
            except StoreUnavailable as fault:
                _LOG.warning("a hand-over waits for the store: %s", fault)
                await asyncio.sleep(_STORE_AWAY_SECONDS)
            except SessionLost:
                self.fenced()
                return
            else:
                self._cutting -= shards

    def _give_up(self, shards: frozenset[int]) -> None:
        for attempt in self._dispatcher.cancel_attempts(shards):
            self._given_up.add(attempt)
            attempt.add_done_callback(self._gave_up)

    def _gave_up(self, attempt: asyncio.Task[None]) -> None:
        self._given_up.discard(attempt)
        self._changed.set()

    def _drop(self, shards: frozenset[int]) -> None:
        """Forget shards, with whatever is under way for them."""
        self._let_go(shards)
        self._handed -= shards
        self._cutting -= shards
        self._tenures.drop(shards)
        self._dispatcher.recorder.drop(shards)
        self._give_up(shards)
        _LOG.warning("%s shards are somebody else's by now", len(shards))
