"""What is too old, erased or of nobody any more goes, and only that."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, a_result, an_event
from tidings.core.attempt import Answer
from tidings.core.delivery import DeadLetterReason, DeliveryStatus, Turn, ending_of
from tidings.core.event import Accepted
from tidings.core.refusals import NotFound
from tidings.core.subscription import Status, Subscription
from tidings.ports.records import ApiKey, EventFilter, Replay, ReplayScope

LATER_MS = NOW_MS + 60_000


def changed(**members: object) -> Callable[[Subscription], Subscription]:
    return lambda old: replace(old, version=old.version + 1, **members)  # type: ignore[arg-type]


async def test_deletion_goes_in_steps_from_the_oldest_on(filled: Filled) -> None:
    for number in range(5):
        event = an_event(event_id=f"evt_o{number}")
        await filled.store.accept_events([event], now_ms=NOW_MS + number)

    async def left() -> list[str]:
        found = await filled.store.list_events(EventFilter(TENANT), before=None, limit=9)
        return [one.event_id for one in found]

    assert await filled.store.delete_expired(accepted_before_ms=NOW_MS + 4, limit=3) == 3
    assert await left() == ["evt_o4", "evt_o3"]
    assert await filled.store.delete_expired(accepted_before_ms=NOW_MS + 4, limit=3) == 1
    assert await filled.store.delete_expired(accepted_before_ms=NOW_MS + 4, limit=3) == 0
    assert await left() == ["evt_o4"]


async def test_a_deleted_event_frees_its_id_and_its_idempotency_key(filled: Filled) -> None:
    keyed = an_event(event_id="evt_made", event_key="key:abc")
    await filled.store.accept_events([keyed], now_ms=NOW_MS)
    await filled.store.delete_expired(accepted_before_ms=NOW_MS + 1, limit=9)
    by_key = an_event(event_id="evt_other", event_key="key:abc", data=b'{"other":1}')
    by_id = an_event(event_id="evt_made", data=b'{"other":1}')
    answers = await filled.store.accept_events([by_key, by_id], now_ms=LATER_MS)
    assert [(one.event_id, one.is_repeat) for one in answers if isinstance(one, Accepted)] == [
        ("evt_other", False),
        ("evt_made", False),
    ]


async def test_an_expiry_tells_of_each_lane_that_it_frees_once(filled: Filled) -> None:
    await filled.subscribe(ordering_enabled=True)
    rows = await filled.publish(2, ordering_key="k")
    await filled.store.accept_events([an_event(ordering_key="k")], now_ms=LATER_MS)
    (follower,) = filled.told[-1].arrived
    ended = await filled.store.expire_deliveries(
        accepted_before_ms=LATER_MS, now_ms=LATER_MS, limit=9
    )
    assert ended == 2
    assert filled.told[-1].ended == rows
    assert filled.told[-1].unparked == [follower]
    dead = await filled.listed(status=DeliveryStatus.DEAD_LETTERED)
    assert {one.reason for one in dead} == {DeadLetterReason.EXPIRED}


async def test_what_fails_during_a_replay_is_no_part_of_it(filled: Filled) -> None:
    subscription = await filled.subscribe()
    *dead, pending = await filled.publish(5)
    for row in dead:
        await filled.end(row)
    scope = ReplayScope(TENANT, "dead", subscription.subscription_id)
    await filled.store.start_replay(Replay("rpl_1", scope, 4, LATER_MS))
    done = 0
    for _ in range(9):
        told = len(filled.told)
        replay = await filled.store.advance_replay("rpl_1", now_ms=LATER_MS, limit=1)
        begun = [row for changes in filled.told[told:] for row in changes.arrived]
        done += len(begun)
        for row in begun + ([pending] if done == 1 else []):
            failed = a_result(row, ending_of(Turn.LAST_ATTEMPT_FAILED))
            at_ms = LATER_MS + 1
            attempt = msgspec.structs.replace(failed.attempt, started_at_ms=at_ms)
            await filled.store.record_results([msgspec.structs.replace(failed, attempt=attempt)])
        if replay.finished_at_ms is not None:
            break
    assert done == 4


async def test_what_is_missed_after_a_replay_was_asked_for_is_no_part_of_it(
    filled: Filled,
) -> None:
    await filled.publish(2)
    name = (await filled.subscribe()).subscription_id
    scope = ReplayScope(TENANT, "missed", name)
    await filled.store.start_replay(Replay("rpl_1", scope, 2, LATER_MS))
    await filled.store.change_subscription(TENANT, name, changed(status=Status.DISABLED))
    await filled.store.accept_events([an_event()], now_ms=LATER_MS + 5)
    await filled.store.change_subscription(TENANT, name, changed(status=Status.ACTIVE))
    replay = await filled.store.advance_replay("rpl_1", now_ms=LATER_MS + 9, limit=9)
    assert (replay.done, replay.finished_at_ms) == (2, LATER_MS + 9)


@pytest.mark.parametrize("only", ["dead", "all", "missed"])
async def test_a_bulk_replay_leaves_out_erased_events_and_who_takes_none(
    filled: Filled, only: str
) -> None:
    if only == "missed":
        await filled.publish(event_id="evt_kept")
        await filled.publish(event_id="evt_erased")
    subscription = await filled.subscribe()
    if only != "missed":
        for name in ("evt_kept", "evt_erased"):
            (row,) = await filled.publish(event_id=name)
            await filled.end(row)
    await filled.store.erase_event_data(TENANT, "evt_erased", now_ms=NOW_MS)
    name = subscription.subscription_id
    scope = ReplayScope(TENANT, only, name)  # type: ignore[arg-type]
    assert await filled.store.count_replay(scope) == 1
    await filled.store.change_subscription(TENANT, name, changed(status=Status.DISABLED))
    assert await filled.store.count_replay(scope) == 0
    await filled.store.start_replay(Replay("rpl_1", scope, 1, LATER_MS))
    replay = await filled.store.advance_replay("rpl_1", now_ms=LATER_MS, limit=9)
    assert (replay.done, replay.finished_at_ms) == (0, LATER_MS)


@pytest.mark.parametrize("before", [True, False])
async def test_a_new_round_keeps_order_as_the_subscription_wants_it_now(
    filled: Filled, before: bool
) -> None:
    subscription = await filled.subscribe(ordering_enabled=before)
    (row,) = await filled.publish(ordering_key="k")
    await filled.end(row)
    await filled.store.change_subscription(
        TENANT, subscription.subscription_id, changed(ordering_enabled=not before)
    )
    again = await filled.store.replay_delivery(TENANT, row.delivery_id, now_ms=LATER_MS)
    assert again.ordering_key == (None if before else "k")


async def test_a_deleted_subscription_is_loaded_while_it_has_deliveries(filled: Filled) -> None:
    subscription = await filled.subscribe()
    await filled.publish(2)
    name = subscription.subscription_id
    await filled.store.change_subscription(TENANT, name, changed(status=Status.DELETED))
    with pytest.raises(NotFound):
        await filled.store.get_subscription(TENANT, name)
    (loaded,) = await filled.store.load_subscriptions()
    assert loaded.subscription.status is Status.DELETED
    assert await filled.store.list_subscriptions_with_deliveries() == [name]
    assert await filled.publish(1) == []
    ended = await filled.store.settle_deliveries(name, excluding=(), now_ms=NOW_MS, limit=9)
    assert ended == 2
    assert {one.status for one in await filled.listed()} == {DeliveryStatus.CANCELLED}
    assert await filled.store.load_subscriptions() == []


async def test_erasing_a_tenant_tells_of_all_that_others_keep_in_memory(filled: Filled) -> None:
    store = filled.store
    subscription = await filled.subscribe()
    await store.create_api_key(ApiKey("key_1", b"h" * 32, "one", (), TENANT, NOW_MS))
    (row,) = await filled.publish()
    tried = a_result(row, None, answer=Answer(status_code=500), due_at_ms=LATER_MS)
    await store.record_results([tried])
    del filled.told[:]
    assert await store.erase_tenant(TENANT, now_ms=NOW_MS, limit=1)
    # Nothing new begins for it while the rest is erased.
    assert await filled.publish(1) == []
    while await store.erase_tenant(TENANT, now_ms=NOW_MS, limit=1):
        pass
    (gone,) = [one for changes in filled.told for one in changes.subscriptions]
    assert (gone.subscription_id, gone.status) == (subscription.subscription_id, Status.DELETED)
    assert gone.secrets == ()
    assert [key for changes in filled.told for key in changes.revoked_key_ids] == ["key_1"]
    assert [one for changes in filled.told for one in changes.ended] == [tried.delivery]
    assert await store.list_attempts(row.delivery_id) == []
    assert await store.load_api_keys() == []
