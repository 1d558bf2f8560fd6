"""New rounds: of one delivery, of one event, and in bulk by a cursor that survives a restart."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.stores import StoreOpener
from tests.support.values import NOW_MS, TENANT, a_subscription, an_event
from tidings.core import limits
from tidings.core.delivery import DeliveryStatus, Turn
from tidings.core.grammar import OPERATOR
from tidings.core.refusals import InvalidState, NotFound
from tidings.core.subscription import DisabledReason, Status, disabled
from tidings.ports.records import Replay, ReplayChoice, ReplayScope

LATER_MS = NOW_MS + 60_000


def a_replay(only: ReplayChoice, subscription_id: str | None, total: int = 0) -> Replay:
    scope = ReplayScope(TENANT, only, subscription_id)
    return Replay("rpl_1", scope, total, LATER_MS)


async def test_a_replay_is_the_same_delivery_in_a_new_round(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    with pytest.raises(InvalidState):
        await filled.store.replay_delivery(TENANT, row.delivery_id, now_ms=LATER_MS)
    await filled.end(row)
    again = await filled.store.replay_delivery(TENANT, row.delivery_id, now_ms=LATER_MS)
    assert (again.delivery_id, again.round, again.attempt_count) == (row.delivery_id, 1, 1)
    assert (again.schedule_position, again.is_single) == (0, False)
    assert again.seq > row.seq
    (listed,) = await filled.listed()
    assert (listed.status, listed.replay_count) == (DeliveryStatus.PENDING, 1)


async def test_a_retry_of_a_finished_delivery_is_a_round_of_one_attempt(filled: Filled) -> None:
    await filled.subscribe()
    (row,) = await filled.publish()
    await filled.end(row, Turn.ATTEMPT_DELIVERED)
    assert (await filled.store.retry_delivery(TENANT, row.delivery_id, now_ms=LATER_MS)).is_single


async def test_what_cannot_be_replayed_is_refused(filled: Filled) -> None:
    subscription = await filled.subscribe()
    cancelled, erased, off = [(await filled.publish(event_id=name))[0] for name in ("a", "b", "c")]
    await filled.store.cancel_delivery(TENANT, cancelled.delivery_id, now_ms=NOW_MS)
    for row in (erased, off):
        await filled.end(row)
    await filled.store.erase_event_data(TENANT, "b", now_ms=NOW_MS)
    for row in (cancelled, erased):
        with pytest.raises(InvalidState):
            await filled.store.replay_delivery(TENANT, row.delivery_id, now_ms=LATER_MS)
    await filled.store.change_subscription(
        TENANT,
        subscription.subscription_id,
        lambda old: disabled(old, DisabledReason.OPERATOR, now_ms=NOW_MS),
    )
    with pytest.raises(InvalidState):
        await filled.store.replay_delivery(TENANT, off.delivery_id, now_ms=LATER_MS)
    with pytest.raises(NotFound):
        await filled.store.replay_delivery("other", off.delivery_id, now_ms=LATER_MS)


async def test_a_discarded_dead_letter_is_cancelled_and_no_dead_letter_any_more(
    filled: Filled,
) -> None:
    await filled.subscribe()
    (row,) = await filled.publish(event_id="evt_1")
    await filled.end(row)
    await filled.store.discard_dead_letter(TENANT, row.delivery_id, now_ms=NOW_MS)
    assert [one.status for one in await filled.listed()] == [DeliveryStatus.CANCELLED]
    with pytest.raises(NotFound):
        await filled.store.discard_dead_letter(TENANT, row.delivery_id, now_ms=NOW_MS)
    begun = await filled.store.replay_event(TENANT, "evt_1", subscription_id=None, now_ms=LATER_MS)
    assert begun == 0


async def test_an_event_goes_again_to_all_who_want_it_or_to_one_who_never_did(
    filled: Filled,
) -> None:
    first = await filled.subscribe("a.*")
    (row,) = await filled.publish(event_type="a.b", event_id="evt_1")
    never = await filled.subscribe("z")
    replay = filled.store.replay_event
    assert await replay(TENANT, "evt_1", subscription_id=None, now_ms=LATER_MS) == 0
    await filled.end(row)
    assert await replay(TENANT, "evt_1", subscription_id=None, now_ms=LATER_MS) == 1
    name = never.subscription_id
    assert await replay(TENANT, "evt_1", subscription_id=name, now_ms=LATER_MS) == 1
    assert {one.subscription_id for one in await filled.listed()} == {
        first.subscription_id,
        never.subscription_id,
    }


@pytest.mark.parametrize(("only", "expected"), [("dead", 4), ("all", 7), ("missed", 3)])
async def test_a_bulk_replay_covers_what_it_says_and_counts_it_before(
    filled: Filled, only: ReplayChoice, expected: int
) -> None:
    await filled.publish(3)
    subscription = await filled.subscribe()
    rows = await filled.publish(9)
    for index, row in enumerate(rows[:7]):
        await filled.end(row, Turn.ATTEMPT_DELIVERED if index < 3 else Turn.LAST_ATTEMPT_FAILED)
    replay = a_replay(only, subscription.subscription_id)
    assert await filled.store.count_replay(replay.scope) == expected
    await filled.store.start_replay(replay)
    steps = 0
    while replay.finished_at_ms is None:
        replay = await filled.store.advance_replay("rpl_1", now_ms=LATER_MS, limit=2)
        steps += 1
        assert steps < 10
    assert replay.done == expected
    assert await filled.store.count_replay(replay.scope) == 0
    assert await filled.store.load_replays() == []
    assert await filled.store.get_replay(TENANT, "rpl_1") == replay
    begun = [row for changes in filled.told if changes.replays for row in changes.arrived]
    assert len({row.delivery_id for row in begun}) == expected
    assert all(row.is_again for row in begun)


async def test_a_replay_goes_on_after_a_restart(opener: StoreOpener, tmp_path: Path) -> None:
    async with opener(tmp_path) as store:
        filled = Filled(store)
        subscription = await filled.subscribe()
        for row in await filled.publish(5):
            await filled.end(row)
        await store.start_replay(a_replay("dead", subscription.subscription_id, 5))
        halfway = await store.advance_replay("rpl_1", now_ms=LATER_MS, limit=2)
    async with opener(tmp_path) as store:
        assert await store.load_replays() == [halfway]
        finished = await store.advance_replay("rpl_1", now_ms=LATER_MS, limit=9)
        assert (finished.done, finished.finished_at_ms) == (5, LATER_MS)


async def test_what_a_filter_kept_out_was_not_missed_but_can_be_sent(filled: Filled) -> None:
    subscription = await filled.subscribe(content_filter='{"n": {"$gt": 1}}')
    subscription_id = subscription.subscription_id
    await filled.publish(event_id="evt_out", data=b'{"n": 1}')
    (row,) = await filled.publish(event_id="evt_in", data=b'{"n": 2}')
    await filled.end(row)
    assert await filled.store.count_replay(ReplayScope(TENANT, "missed", subscription_id)) == 0
    begun = [
        await filled.store.replay_event(TENANT, name, subscription_id=None, now_ms=LATER_MS)
        for name in ("evt_out", "evt_in")
    ]
    assert begun == [0, 1]
    to_one = await filled.store.replay_event(
        TENANT, "evt_out", subscription_id=subscription_id, now_ms=LATER_MS
    )
    assert to_one == 1


async def test_an_event_that_a_newer_filter_wants_was_missed(filled: Filled) -> None:
    await filled.publish(3, data=b'{"n": 2}')
    await filled.publish(2, data=b'{"n": 1}')
    subscription = await filled.subscribe(content_filter='{"n": {"$gt": 1}}')
    scope = ReplayScope(TENANT, "missed", subscription.subscription_id)
    assert await filled.store.count_replay(scope) == 3


async def finish(filled: Filled, replay: Replay, *, limit: int = 100) -> Replay:
    """Carry a replay out."""
    await filled.store.start_replay(replay)
    while replay.finished_at_ms is None:
        replay = await filled.store.advance_replay(replay.replay_id, now_ms=LATER_MS, limit=limit)
    return replay


@pytest.mark.parametrize("only", ["dead", "all", "missed"])
async def test_a_step_looks_at_few_rows_however_few_of_them_it_finds(
    filled: Filled, only: ReplayChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REPLAY_ROWS_LOOKED_AT_MAX", 4)
    # Of ten events, the fourth and the last are wanted.
    types = ["order.wanted" if number in (3, 9) else "order.other" for number in range(10)]
    if only == "missed":
        for event_type in types:
            await filled.publish(event_type=event_type)
        name = (await filled.subscribe("order.*")).subscription_id
    else:
        name = (await filled.subscribe("order.*")).subscription_id
        for event_type in types:
            (row,) = await filled.publish(event_type=event_type)
            await filled.end(row)
    scope = ReplayScope(TENANT, only, name, patterns="order.wanted")
    assert await filled.store.count_replay(scope) == 2
    replay = Replay("rpl_1", scope, 2, LATER_MS)
    await filled.store.start_replay(replay)
    done = []
    while replay.finished_at_ms is None:
        replay = await filled.store.advance_replay("rpl_1", now_ms=LATER_MS, limit=9)
        done.append(replay.done)
    assert (len(done), done[-1]) == (3, 2), "four at a time are ten in three steps"


async def test_a_replay_is_cut_to_its_span_of_time_and_its_event_types(filled: Filled) -> None:
    for now_ms in range(NOW_MS, NOW_MS + 5_000, 1_000):
        for event_type in ("a.x", "b.x"):
            event = an_event(event_type)
            await filled.store.accept_events([event], now_ms=now_ms)
    name = (await filled.subscribe("*", now_ms=LATER_MS)).subscription_id
    scope = ReplayScope(TENANT, "missed", name, "a.*", NOW_MS + 1_000, NOW_MS + 4_000)
    assert await filled.store.count_replay(scope) == 3
    assert (await finish(filled, Replay("rpl_1", scope, 3, LATER_MS))).done == 3


async def test_what_is_missed_is_what_the_subscription_wants_now(filled: Filled) -> None:
    for data in (b'{"n": 1}', b'{"n": 2}'):
        await filled.publish(event_type="old.type", data=data)
        await filled.publish(event_type="new.type", data=data)
    one = await filled.subscribe("old.type", content_filter='{"n": 2}')
    await filled.store.change_subscription(
        TENANT, one.subscription_id, lambda old: replace(old, event_type="new.*")
    )
    scope = ReplayScope(TENANT, "missed", one.subscription_id)
    assert await filled.store.count_replay(scope) == 1
    await finish(filled, Replay("rpl_1", scope, 1, LATER_MS))
    (made,) = await filled.listed(subscription_id=one.subscription_id)
    assert made.event_type == "new.type"
    assert await filled.store.count_replay(scope) == 0


@pytest.mark.parametrize("only", ["dead", "missed"])
@pytest.mark.parametrize("status", [Status.DISABLED, Status.DELETED])
async def test_a_replay_ends_when_its_subscription_takes_no_events_any_more(
    filled: Filled, only: ReplayChoice, status: Status
) -> None:
    await filled.publish(3)
    one = await filled.subscribe()
    for row in await filled.publish(3):
        await filled.end(row)
    scope = ReplayScope(TENANT, only, one.subscription_id)
    await filled.store.start_replay(Replay("rpl_1", scope, 3, LATER_MS))
    await filled.store.advance_replay("rpl_1", now_ms=LATER_MS, limit=1)
    await filled.store.change_subscription(
        TENANT, one.subscription_id, lambda old: replace(old, status=status)
    )
    ended = await filled.store.advance_replay("rpl_1", now_ms=LATER_MS, limit=9)
    assert (ended.done, ended.finished_at_ms) == (1, LATER_MS)
    assert await filled.store.load_replays() == []


async def test_a_paused_subscription_has_its_replay_held(filled: Filled) -> None:
    await filled.publish(2)
    one = await filled.subscribe()
    await filled.store.change_subscription(
        TENANT, one.subscription_id, lambda old: replace(old, status=Status.PAUSED)
    )
    scope = ReplayScope(TENANT, "missed", one.subscription_id)
    assert (await finish(filled, Replay("rpl_1", scope, 2, LATER_MS))).done == 2
    assert {one.status for one in await filled.listed()} == {DeliveryStatus.PENDING}


async def test_what_is_missed_is_never_about_the_subscription_itself(filled: Filled) -> None:
    one = await filled.subscribe("tidings.*")
    other = await filled.subscribe("x")
    for row in [row for changes in filled.told for row in changes.arrived]:
        await filled.end(row, Turn.ATTEMPT_DELIVERED)
    late = await filled.subscribe("tidings.*", now_ms=LATER_MS)
    counts = [
        await filled.store.count_replay(ReplayScope(TENANT, "missed", name))
        for name in (one.subscription_id, other.subscription_id, late.subscription_id)
    ]
    # The first has got what it may get; the last misses what came before it.
    assert counts == [0, 0, 2]


async def test_the_operator_replays_what_it_missed_of_all_tenants(filled: Filled) -> None:
    for tenant_id in ("acme", "zeta"):
        await filled.store.create_subscription(a_subscription(tenant_id=tenant_id), quota=9)
        await filled.publish(tenant_id=tenant_id)
    watcher = a_subscription("tidings.subscription.*", tenant_id=OPERATOR)
    await filled.store.create_subscription(watcher, quota=9)
    scope = ReplayScope(OPERATOR, "missed", watcher.subscription_id)
    assert await filled.store.count_replay(scope) == 2
    assert (await finish(filled, Replay("rpl_1", scope, 2, LATER_MS), limit=1)).done == 2
    for tenant_id in ("acme", "zeta"):
        foreign = ReplayScope(tenant_id, "missed", watcher.subscription_id)
        assert await filled.store.count_replay(foreign) == 0


async def test_a_replay_never_has_done_more_than_there_is_to_do(filled: Filled) -> None:
    subscription = await filled.subscribe()
    await filled.end((await filled.publish())[0])
    (late,) = await filled.publish()
    await filled.store.start_replay(a_replay("dead", subscription.subscription_id, total=1))
    await filled.end(late)
    replay = await filled.store.advance_replay("rpl_1", now_ms=LATER_MS, limit=10)
    assert (replay.done, replay.total) == (2, 2)
    assert await filled.store.get_replay(TENANT, "rpl_1") == replay
