"""Any order of operations, compared after each with a plain model and with what commits told."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.support.stores import STORES, StoreOpener
from tests.support.values import NOW_MS, TENANT, a_result, a_subscription, an_event
from tidings.core.delivery import Delivery, DeliveryStatus, Ending, Turn, ending_of
from tidings.core.event import Accepted, AcceptResult, Conflicting, NewEvent, OverQuota, Unfitting
from tidings.core.refusals import Refusal
from tidings.core.subscription import Status
from tidings.ports.records import DeliveryFilter
from tidings.ports.store import Committed, Result, Store

T = TypeVar("T")

DISCARDED = Ending(DeliveryStatus.CANCELLED)
anywhere = st.integers(min_value=0, max_value=10_000)
names = st.sampled_from(("evt_a", "evt_b", "evt_c", "evt_d", "evt_e", "evt_f", None))
endings = st.sampled_from((None, Turn.ATTEMPT_DELIVERED, Turn.LAST_ATTEMPT_FAILED))


@dataclass
class Known:
    """What the model knows of a delivery."""

    row: Delivery
    ending: Ending | None = None


class StoreMachine(RuleBasedStateMachine):
    """One store, the rows that its commits told of, and what became of each delivery."""

    opener: StoreOpener

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.now_ms = NOW_MS
        self.rows: dict[int, Delivery] = {}
        self.known: dict[str, Known] = {}
        self.results: list[Result] = []
        self.contents: dict[str, bytes] = {}
        self.subscriptions: list[str] = []
        self._open()
        for ordering_enabled in (True, False):
            subscription = a_subscription("a.*", ordering_enabled=ordering_enabled)
            self.do(self.store.create_subscription(subscription, quota=9))
            self.subscriptions.append(subscription.subscription_id)

    def do(self, asked: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asked)

    def attempt(self, asked: Coroutine[Any, Any, T]) -> T | None:
        """Do something that may be refused."""
        try:
            return self.do(asked)
        except Refusal:
            return None

    # What can happen.

    @rule(
        wanted=st.lists(st.tuples(names, st.booleans(), st.sampled_from("kx-")), max_size=6),
        event_type=st.sampled_from(("a.b", "a.b", "other")),
        room=st.sampled_from((None, None, -1, 0, 1, 3)),
    )
    def accept(
        self, wanted: list[tuple[str | None, bool, str]], event_type: str, room: int | None
    ) -> None:
        events = [
            an_event(
                event_type,
                event_id=name,
                data=b"{}" if usual else b"[]",
                ordering_key=None if key == "-" else key,
            )
            for name, usual, key in wanted
        ]
        backlog = len(self.rows)
        backlog_max = None if room is None else max(0, backlog + room)
        answers: list[AcceptResult] = []
        if events:
            answers = self.do(
                self.store.accept_events(events, now_ms=self.now_ms, backlog_max=backlog_max)
            )
        assert len(answers) == len(events)
        for event, answer in zip(events, answers, strict=True):
            is_new = event.event_id not in self.contents
            is_full = backlog_max is not None and backlog >= backlog_max
            assert not (isinstance(answer, OverQuota) and not (is_new and is_full))
            if isinstance(answer, Accepted) and is_new and answer.deliveries:
                assert not is_full
                backlog += answer.deliveries
            if not isinstance(answer, OverQuota):
                assert not isinstance(answer, Unfitting)
                self._check_answer(event, answer)

    @rule(where=anywhere, turn=endings, wait_ms=st.integers(0, 1_000))
    def record(self, where: int, turn: Turn | None, wait_ms: int) -> None:
        row = _pick(list(self.rows.values()), where)
        if row is None:
            return
        ending = None if turn is None else ending_of(turn)
        due_at_ms = self.now_ms + wait_ms if ending is None else row.due_at_ms
        result = a_result(row, ending, due_at_ms=due_at_ms, kept_due_at_ms=None)
        self.results.append(result)
        (recorded,) = self.do(self.store.record_results([result]))
        assert recorded.applied
        known = self.known[row.delivery_id]
        known.row, known.ending = result.delivery, ending

    @rule(where=anywhere)
    def record_again(self, where: int) -> None:
        result = _pick(self.results, where)
        row = None if result is None else self.rows.get(result.delivery.seq)
        if result is not None and (row is None or row == result.delivery):
            self.do(self.store.record_results([result]))

    @rule(where=anywhere)
    def cancel(self, where: int) -> None:
        self._end_by_hand(where, self.store.cancel_delivery, Turn.CANCELLED)

    @rule(where=anywhere)
    def discard(self, where: int) -> None:
        known = _pick(list(self.known.values()), where)
        if known is None:
            return
        delivery_id = known.row.delivery_id
        self.attempt(self.store.discard_dead_letter(TENANT, delivery_id, now_ms=self.now_ms))
        if known.ending is not None and known.ending.status is DeliveryStatus.DEAD_LETTERED:
            known.ending = DISCARDED

    @rule(where=anywhere, is_retry=st.booleans())
    def go_again(self, where: int, is_retry: bool) -> None:
        known = _pick(list(self.known.values()), where)
        if known is None:
            return
        act = self.store.retry_delivery if is_retry else self.store.replay_delivery
        row = self.attempt(act(TENANT, known.row.delivery_id, now_ms=self.now_ms))
        if row is None:
            return
        assert (known.ending is None) == (row.seq == known.row.seq)
        assert known.ending != DISCARDED
        known.row, known.ending = row, None

    @rule(where=anywhere, status=st.sampled_from((Status.ACTIVE, Status.PAUSED, Status.DISABLED)))
    def change(self, where: int, status: Status) -> None:
        name = self.subscriptions[where % len(self.subscriptions)]
        self.do(
            self.store.change_subscription(
                TENANT, name, lambda old: replace(old, status=status, version=old.version + 1)
            )
        )

    @rule(where=anywhere, limit=st.integers(1, 3), spares=st.booleans())
    def settle(self, where: int, limit: int, spares: bool) -> None:
        name = self.subscriptions[where % len(self.subscriptions)]
        mine = [row for row in self._in_order() if row.subscription_id == name]
        spared = {row.seq for row in mine[:1] if spares}
        count = self.do(
            self.store.settle_deliveries(name, excluding=spared, now_ms=self.now_ms, limit=limit)
        )
        expected = [row for row in mine if row.seq not in spared][:count]
        assert count in (0, min(limit, len(mine) - len(spared)))
        self._ended(expected, Turn.SUBSCRIPTION_DISABLED)

    @rule(limit=st.integers(1, 3), back_ms=st.sampled_from((0, 50, 500)))
    def expire(self, limit: int, back_ms: int) -> None:
        before_ms = self.now_ms - back_ms
        old = [row for row in self._in_order() if (row.event_seq >> 20) < before_ms]
        old.sort(key=lambda row: row.event_seq)
        count = self.do(
            self.store.expire_deliveries(
                accepted_before_ms=before_ms, now_ms=self.now_ms, limit=limit
            )
        )
        assert count == min(limit, len(old))
        gone = {row.delivery_id for row in old} - {row.delivery_id for row in self.rows.values()}
        assert len(gone) == count
        self._ended([row for row in old if row.delivery_id in gone], Turn.EXPIRED)

    @rule(milliseconds=st.sampled_from((0, 1, 100, -30)))
    def pass_time(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    @rule()
    def reopen(self) -> None:
        self._close()
        self._open()

    # What must hold.

    @invariant()
    def lists_show_what_became_of_every_delivery(self) -> None:
        wanted = DeliveryFilter(TENANT)
        listed = self.do(self.store.list_deliveries(wanted, before=None, limit=10_000))
        found = {one.delivery_id: one for one in listed}
        assert found.keys() == self.known.keys()
        for delivery_id, known in self.known.items():
            one, ending = found[delivery_id], known.ending
            assert one.status is (DeliveryStatus.PENDING if ending is None else ending.status)
            assert one.reason is (None if ending is None else ending.reason)
            assert (one.attempt_count, one.replay_count) == (
                known.row.attempt_count,
                known.row.round,
            )

    @invariant()
    def the_queue_holds_what_commits_told_of(self) -> None:
        unfinished = {one.row.seq: one.row for one in self.known.values() if one.ending is None}
        assert self.rows == unfinished
        until_ms = self.now_ms + 10_000
        due = self.do(self.store.read_due(after=(-1, -1), until_ms=until_ms, limit=10_000))
        waiting = [row for row in self.rows.values() if row.due_at_ms is not None]
        assert due == sorted(waiting, key=lambda row: (row.due_at_ms, row.seq))
        for name in self.subscriptions:
            page = self.do(self.store.read_page(name, after_seq=0, limit=10_000))
            assert page.rows == [row for row in self._in_order() if self._is_in_page(row, name)]
            assert page.is_last

    def teardown(self) -> None:
        self._close()
        self.runner.close()
        self.folder.cleanup()

    # The steps of the above.

    def _open(self) -> None:
        self.stack = AsyncExitStack()
        opened = type(self).opener(Path(self.folder.name))
        self.store: Store = self.do(self.stack.enter_async_context(opened))
        self.store.on_commit(self._follow)

    def _close(self) -> None:
        self.do(self.stack.aclose())

    def _follow(self, changes: Committed) -> None:
        """Keep the rows as a listener must: by the notices alone."""
        for row in changes.ended:
            del self.rows[row.seq]
        for result, recorded in changes.recorded:
            if result.ending is not None or not recorded.applied:
                self.rows.pop(result.delivery.seq, None)
            else:
                self.rows[result.delivery.seq] = result.delivery
        for row in changes.unparked:
            assert self.rows[row.seq] == row
            assert self._is_head(row)
        for row in changes.arrived:
            assert row.seq in self.rows or row.seq > max(self.rows, default=0)
            self.rows[row.seq] = row
            self.known.setdefault(row.delivery_id, Known(row))

    def _check_answer(self, event: NewEvent, answer: Accepted | Conflicting) -> None:
        first = self.contents.setdefault(event.event_id, event.content_hash)
        if first != event.content_hash:
            assert answer == Conflicting(event.event_id)
        else:
            assert isinstance(answer, Accepted)
            assert answer.event_id == event.event_id

    def _end_by_hand(self, where: int, act: Callable[..., Any], turn: Turn) -> None:
        known = _pick(list(self.known.values()), where)
        if known is None:
            return
        self.attempt(act(TENANT, known.row.delivery_id, now_ms=self.now_ms))
        if known.ending is None:
            known.ending = ending_of(turn)

    def _ended(self, rows: Sequence[Delivery], turn: Turn) -> None:
        for row in rows:
            self.known[row.delivery_id].ending = ending_of(turn)

    def _in_order(self) -> list[Delivery]:
        rows = [known.row for known in self.known.values() if known.ending is None]
        return sorted(rows, key=lambda row: row.seq)

    def _is_in_page(self, row: Delivery, name: str) -> bool:
        if row.subscription_id != name:
            return False
        return row.due_at_ms is None if row.ordering_key is None else self._is_head(row)

    def _is_head(self, row: Delivery) -> bool:
        lane = (row.subscription_id, row.ordering_key)
        return row.seq == min(
            other.seq
            for other in self.rows.values()
            if (other.subscription_id, other.ordering_key) == lane
        )


def _pick(some: Sequence[T], where: int) -> T | None:
    return some[where % len(some)] if some else None


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", STORES)
def test_every_order_of_operations_leaves_what_the_model_expects(name: str) -> None:
    machine = type("Machine", (StoreMachine,), {"opener": staticmethod(STORES[name])})
    examples = 80 if name == "sqlite" else 15
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=40)
    )
