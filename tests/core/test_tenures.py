"""Shards that come and go: what the scheduler forgets, what it waits for, and what it finds again.

The machine at the end is that of `test_scheduler_machine`, where others work on the same table.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.core.test_scheduler_machine import (
    SchedulerMachine,
    _pick,
    anywhere,
    few,
    names,
    small_bounds,
)
from tests.support.scheduler_world import OK
from tests.support.shared_world import SharedWorld

__all__ = ["small_bounds"]


class SharedMachine(SchedulerMachine):
    """The same, with shards that are handed over, lost and begun again."""

    world: SharedWorld

    def __init__(self) -> None:
        super().__init__()
        self.world.own_all()

    def new_world(self) -> SharedWorld:
        return SharedWorld(concurrency_max=6)

    @rule(name=names, works=st.lists(st.booleans(), max_size=5), was_lost=st.booleans())
    def lend(self, name: str, works: list[bool], was_lost: bool) -> None:
        """Others own a shard for a while, and nothing else happens meanwhile."""
        world = self.world
        if was_lost:
            world.drop(name)
        else:
            world.hand_over(name)
            world.let_go_of_handed()
        if world.shard(name) not in world.handed:
            for succeeds in works:
                world.work_elsewhere(name, succeeds=succeeds)
            world.include(name)
            world.find(name)
            world.begin(name, was_lost=was_lost)

    @precondition(lambda self: self.world.in_flight)
    @rule(where=anywhere, count=few, reads=st.integers(0, 2), records=st.booleans())
    def follow_unseen(self, where: int, count: int, reads: int, records: bool) -> None:
        """Followers come while a result is on its way, and are perhaps told of first."""
        world = self.world
        keyed = [one for one in world.in_flight.values() if one.delivery.ordering_key is not None]
        if not keyed:
            return
        head = _pick(keyed, where).delivery
        world.answer(head.seq, OK)
        if world.table.subscriptions[head.subscription_id].takes_events:
            world.publish(head.subscription_id, count, ordering_key=head.ordering_key)
        for _ in range(reads):
            world.take_in()
            world.read()
        if records:
            world.record(len(world.results))
            world.tell_all()

    @rule(name=names)
    def include(self, name: str) -> None:
        self.world.include(name)

    @rule(name=names)
    def find(self, name: str) -> None:
        self.world.find(name)

    @rule(name=names, was_lost=st.booleans())
    def begin(self, name: str, was_lost: bool) -> None:
        self.world.begin(name, was_lost=was_lost)

    @rule()
    def own_all(self) -> None:
        self.world.own_all()

    @rule(name=names)
    def hand_over(self, name: str) -> None:
        self.world.hand_over(name)

    @rule()
    def let_go(self) -> None:
        self.world.let_go_of_handed()

    @rule(name=names)
    def drop(self, name: str) -> None:
        self.world.drop(name)

    @rule(name=names, succeeds=st.booleans())
    def work_elsewhere(self, name: str, succeeds: bool) -> None:
        world = self.world
        if world.shard(name) not in world.owned | world.handed | set(world.beginning):
            world.work_elsewhere(name, succeeds=succeeds)

    @precondition(lambda self: self.world.table.rows)
    @rule(where=anywhere, count=few)
    def end_elsewhere(self, where: int, count: int) -> None:
        rows = list(self.world.table.rows.values())
        start = where % len(rows)
        self.world.end_elsewhere(rows[start : start + count])

    @rule(where=anywhere)
    def retry_here(self, where: int) -> None:
        may = [row for row in self.world.table.rows.values() if self._may_retry(row)]
        if may:
            self.world.retry_here(_pick(may, where).seq)

    @rule()
    def read(self) -> None:
        self.world.read()

    @rule()
    def take_in(self) -> None:
        self.world.take_in()

    @rule(sees_all=st.booleans())
    def see_all(self, sees_all: bool) -> None:
        self.world.sees_all = sees_all

    def teardown(self) -> None:
        """In the end everything is ours, and is sent."""
        self.world.flow()
        self.world.own_all()
        super().teardown()


def test_whoever_owns_a_shard_in_between_every_row_is_sent_and_none_twice(
    small_bounds: None,
) -> None:
    run_state_machine_as_test(
        SharedMachine, settings=settings(max_examples=300, stateful_step_count=80)
    )
