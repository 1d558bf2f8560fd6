"""Who changed what: told with the change, in its transaction, or not at all."""

from dataclasses import replace

import msgspec
import pytest

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, a_result, a_subscription
from tidings.core.audit import NOBODY, AuditRecord
from tidings.core.delivery import Turn, ending_of
from tidings.core.refusals import NotFound, QuotaExceeded
from tidings.core.subscription import DisabledReason, Status
from tidings.ports.records import ApiKey, Replay, ReplayScope
from tidings.ports.store import Disabling

BY = "key_who"


def told(filled: Filled) -> list[AuditRecord]:
    return [record for changes in filled.told for record in changes.audited]


def actions(filled: Filled) -> list[tuple[str, str, str]]:
    return [(record.action, record.by, record.object_id) for record in told(filled)]


async def test_every_change_of_a_subscription_says_who_made_it(filled: Filled) -> None:
    store, made = filled.store, a_subscription()
    name = made.subscription_id
    await store.create_subscription(made, quota=9, by=BY)
    await store.change_subscription(
        TENANT, name, lambda old: replace(old, status=Status.PAUSED), by=BY
    )
    await store.change_subscription(TENANT, name, lambda old: old, by=BY)
    (row,) = await filled.publish()
    gone = a_result(row, ending_of(Turn.RECEIVER_GONE))
    disabling = Disabling(DisabledReason.GONE, made.callback_url)
    await store.record_results([msgspec.structs.replace(gone, disabling=disabling)])
    await store.note_secrets_read(TENANT, name, now_ms=NOW_MS, by=BY)
    await store.change_subscription(
        TENANT, name, lambda old: replace(old, status=Status.DELETED), by="key_other"
    )
    assert actions(filled) == [
        ("subscription.created", BY, name),
        ("subscription.paused", BY, name),
        ("subscription.disabled", NOBODY, name),
        ("subscription.secrets_read", BY, name),
        ("subscription.deleted", "key_other", name),
    ]


async def test_what_is_refused_is_not_put_down(filled: Filled) -> None:
    with pytest.raises(QuotaExceeded):
        await filled.store.create_subscription(a_subscription(), quota=0, by=BY)
    made = await filled.subscribe(tenant_id="other")
    with pytest.raises(NotFound):
        await filled.store.note_secrets_read(TENANT, made.subscription_id, now_ms=NOW_MS, by=BY)
    with pytest.raises(NotFound):
        await filled.store.revoke_api_key(TENANT, "key_none", now_ms=NOW_MS, by=BY)
    assert [record.action for record in told(filled)] == ["subscription.created"]


async def test_keys_replays_and_erasures_are_put_down(filled: Filled) -> None:
    store = filled.store
    await store.create_api_key(ApiKey("key_1", b"h" * 32, "one", ("admin",), None, NOW_MS), by=BY)
    await store.revoke_api_key(None, "key_1", now_ms=NOW_MS, by=BY)
    await filled.publish(event_id="evt_1")
    await store.replay_event(TENANT, "evt_1", subscription_id=None, now_ms=NOW_MS, by=BY)
    await store.start_replay(Replay("rpl_1", ReplayScope(TENANT, "dead"), 0, NOW_MS), by=BY)
    await store.erase_event_data(TENANT, "evt_1", now_ms=NOW_MS, by=BY)
    assert actions(filled) == [
        ("api_key.created", BY, "key_1"),
        ("api_key.revoked", BY, "key_1"),
        ("event.replayed", BY, "evt_1"),
        ("replay.started", BY, "rpl_1"),
        ("event.data_erased", BY, "evt_1"),
    ]
    assert "h" * 32 not in repr(told(filled))


async def test_an_erased_tenant_leaves_word_of_its_erasure_alone(filled: Filled) -> None:
    store = filled.store
    await filled.subscribe()
    await filled.subscribe(tenant_id="other")
    await filled.publish(4)
    while await store.erase_tenant(TENANT, now_ms=NOW_MS, limit=2, by=BY):
        pass
    assert actions(filled)[2:] == [
        ("tenant.erasure_began", BY, TENANT),
        ("tenant.erased", BY, TENANT),
    ]
    # Left are the other's creation and these two.
    assert await store.delete_audit_records(recorded_before_ms=NOW_MS + 99, limit=99) == 3


async def test_old_records_go_oldest_first(filled: Filled) -> None:
    for number in range(5):
        await filled.subscribe(now_ms=NOW_MS + 10 * number)
    delete = filled.store.delete_audit_records
    assert await delete(recorded_before_ms=NOW_MS + 30, limit=2) == 2
    assert await delete(recorded_before_ms=NOW_MS + 30, limit=2) == 1
    assert await delete(recorded_before_ms=NOW_MS + 30, limit=2) == 0


async def test_uses_of_keys_may_be_told_in_any_order_and_of_keys_that_are_gone(
    filled: Filled,
) -> None:
    key = ApiKey("key_1", b"h" * 32, "one", (), None, NOW_MS)
    await filled.store.create_api_key(key)
    for used_at_ms in (NOW_MS + 9, NOW_MS + 5):
        await filled.store.note_key_uses({"key_1": used_at_ms, "key_gone": used_at_ms})
    assert await filled.store.load_api_keys() == [key]
