"""Shards that come and go under everything at once, while others work on the same table.

As in `test_scheduler_machine` the bounds are small, every request that goes out is checked, and in
the end everything must have been sent. Few rules do much each, so that a short course gets far.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.core.test_scheduler_machine import POLICY, _pick, small_bounds
from tests.support.scheduler_world import ERROR, OK
from tests.support.shared_world import SharedWorld
from tidings.core.attempt import Answer
from tidings.core.delivery import Delivery
from tidings.core.subscription import TRANSITIONS, Change

__all__ = ["small_bounds"]

NAMES = ("ordered", "plain")
names = st.sampled_from(NAMES)
keys = st.sampled_from((None, "x", "x", "y"))
anywhere = st.integers(min_value=0, max_value=1_000)
few = st.integers(min_value=0, max_value=3)
answers = st.sampled_from((OK, OK, OK, ERROR))


class SharedMachine(RuleBasedStateMachine):
    """Two subscriptions in two shards, which others own now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.world = world = SharedWorld(concurrency_max=6)
        world.subscribe("ordered", retry_policy=POLICY, ordering_enabled=True)
        world.subscribe("plain", retry_policy=POLICY, rate_limit_per_second=2.0)
        world.tell_all()
        world.own_all()

    @rule(name=names, count=st.integers(1, 5), key=keys, reads=few)
    def publish(self, name: str, count: int, key: str | None, reads: int) -> None:
        world = self.world
        if world.table.subscriptions[name].takes_events:
            world.publish(name, count, ordering_key=key)
        self._read(reads)

    @rule(where=anywhere, answer=answers, follows=few, reads=few, records=st.tuples(few, few))
    def answer(
        self, where: int, answer: Answer, follows: int, reads: int, records: tuple[int, int]
    ) -> None:
        """Rows may follow, and be told of, before the result is recorded, and told."""
        world = self.world
        world.step()
        if world.in_flight:
            row = world.in_flight[_pick(sorted(world.in_flight), where)].delivery
            world.answer(row.seq, answer)
            if follows and world.table.subscriptions[row.subscription_id].takes_events:
                world.publish(row.subscription_id, follows, ordering_key=row.ordering_key)
        self._read(reads)
        world.record(records[0])
        world.tell(records[1])

    @rule(wheres=st.lists(anywhere, min_size=1, max_size=4))
    def carry_out(self, wheres: list[int]) -> None:
        world = self.world
        world.step()
        for where in wheres:
            if world.under_way:
                world.carry_out(where % len(world.under_way))

    @rule(name=names, works=st.lists(st.booleans(), max_size=4), is_lost=st.booleans())
    def lend(self, name: str, works: list[bool], is_lost: bool) -> None:
        """Others own a shard for a while, and nothing else happens here meanwhile."""
        world = self.world
        if is_lost:
            world.drop(name)
        else:
            world.hand_over(name)
            world.let_go_of_handed()
        if world.shard(name) in world.handed | set(world.beginning):
            return
        for succeeds in works:
            world.work_elsewhere(name, succeeds=succeeds)
        world.include(name)
        world.find(name)
        world.begin(name, was_lost=is_lost)

    @rule(name=names, step=st.sampled_from(("hand over", "let go", "include", "find", "begin")))
    def move(self, name: str, step: str) -> None:
        """A shard comes or goes by one step, and anything may happen before the next."""
        world = self.world
        match step:
            case "hand over":
                world.hand_over(name)
            case "let go":
                world.let_go_of_handed()
            case "include":
                world.include(name)
            case "find":
                world.find(name)
            case _:
                world.begin(name)

    @rule(where=anywhere, is_here=st.booleans(), is_retry=st.booleans(), reads=few, unseen=few)
    def act(self, where: int, is_here: bool, is_retry: bool, reads: int, unseen: int) -> None:
        """A person ends a row or asks for an attempt, here or elsewhere."""
        world = self.world
        rows = [row for row in world.table.rows.values() if not is_retry or self._may_retry(row)]
        if rows:
            row = _pick(rows, where)
            if is_retry:
                (world.retry_here if is_here else world.retry)(row.seq)
            elif is_here:
                world.end([row])
            else:
                world.end_elsewhere([row], unseen=unseen)
        self._read(reads)

    @rule(name=names, change=st.sampled_from((Change.PAUSE, Change.DISABLE, Change.RESUME)))
    def change(self, name: str, change: Change) -> None:
        self._change(name, change)

    @rule(milliseconds=st.sampled_from((1, 500, 5_000, 61_000)))
    def pass_time(self, milliseconds: int) -> None:
        self.world.now_ms += milliseconds
        self.world.step()

    @rule(milliseconds=st.sampled_from((1, 800, 30_000)))
    def put_clock_back(self, milliseconds: int) -> None:
        self.world.put_clock_back(milliseconds)
        self.world.step()

    @rule(sees_all=st.booleans(), where=anywhere)
    def fail(self, sees_all: bool, where: int) -> None:
        """A read or a body cannot be had; and transactions become lucky, or unlucky."""
        world = self.world
        world.sees_all = sees_all
        if world.under_way:
            world.fail(where % len(world.under_way))
        elif world.in_flight:
            world.abandon(_pick(sorted(world.in_flight), where))

    def teardown(self) -> None:
        """In the end everything is ours, and is sent."""
        world = self.world
        world.flow()
        world.own_all()
        for name in NAMES:
            self._change(name, Change.RESUME)
        world.drain()
        assert not world.table.rows, "rows that nobody sends"
        assert world.scheduler.rows_in_memory == 0, "rows that are remembered for ever"

    def _read(self, times: int) -> None:
        """Look and take in, by turns."""
        for _ in range(times):
            if not self.world.look:
                self.world.read()
            else:
                self.world.take_in()

    def _change(self, name: str, change: Change) -> None:
        if (self.world.table.subscriptions[name].status, change) in TRANSITIONS:
            self.world.change(name, change)

    def _may_retry(self, row: Delivery) -> bool:
        table = self.world.table
        return (
            table.subscriptions[row.subscription_id].may_send
            and (row.ordering_key is None or table.head_of_lane(row) is row)
            and not self.world.scheduler.is_in_flight(row.delivery_id)
        )


def test_whoever_owns_a_shard_in_between_every_row_is_sent_in_turn_and_none_twice(
    small_bounds: None,
) -> None:
    run_state_machine_as_test(
        SharedMachine, settings=settings(max_examples=300, stateful_step_count=50)
    )
