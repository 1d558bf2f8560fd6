"""The catalogue of event types, and what publishing has to do with it."""

from collections.abc import Callable

import msgspec
import pytest

from tests.contracts.store.conftest import Filled
from tests.support.values import NOW_MS, TENANT, an_event
from tidings.core.catalogue import CataloguedType, Described, Validation
from tidings.core.event import Accepted, Unfitting
from tidings.core.refusals import Fault, InvalidState, NotFound, QuotaExceeded

CHECKED = Described("ünïcode", '{"n": 1.50}', '{"e": 1}', Validation.ENFORCE, deprecated=True)


def _described(
    event_type: str, described: Described, *, tenant_id: str = TENANT, version: int = 1
) -> Callable[[CataloguedType | None], CataloguedType]:
    return lambda _old: CataloguedType(tenant_id, event_type, described, version, NOW_MS, NOW_MS)


async def _put(filled: Filled, event_type: str, tenant_id: str = TENANT) -> CataloguedType:
    change = _described(event_type, CHECKED, tenant_id=tenant_id)
    one, is_new = await filled.store.change_event_type(tenant_id, event_type, change, quota=10)
    assert is_new
    return one


async def test_an_event_type_comes_back_as_it_was_and_is_told(filled: Filled) -> None:
    one = await _put(filled, "a.b")
    assert await filled.store.get_event_type(TENANT, "a.b") == one
    assert await filled.store.load_checked_event_types() == [one]
    assert [told.event_types for told in filled.told] == [[one]]
    for tenant_id, event_type in ((TENANT, "a"), ("other", "a.b")):
        with pytest.raises(NotFound):
            await filled.store.get_event_type(tenant_id, event_type)


async def test_every_schema_is_kept_and_a_change_that_is_none_is_not_told(filled: Filled) -> None:
    one = await _put(filled, "a.b")
    told = len(filled.told)
    same, is_new = await filled.store.change_event_type(
        TENANT, "a.b", lambda old: old or one, quota=1
    )
    assert (same, is_new, len(filled.told)) == (one, False, told)
    other = msgspec.structs.replace(CHECKED, schema="{}", validation=Validation.OFF)
    await filled.store.change_event_type(
        TENANT, "a.b", _described("a.b", other, version=2), quota=1
    )
    versions = await filled.store.list_schema_versions(TENANT, "a.b")
    assert [(one.version, one.schema) for one in versions] == [(2, "{}"), (1, '{"n": 1.50}')]
    assert await filled.store.load_checked_event_types() == []


async def test_a_refused_change_leaves_everything(filled: Filled) -> None:
    one = await _put(filled, "a.b")

    def refuse(_old: CataloguedType | None) -> CataloguedType:
        raise InvalidState("no")

    with pytest.raises(InvalidState):
        await filled.store.change_event_type(TENANT, "a.b", refuse, quota=10)
    with pytest.raises(QuotaExceeded):
        await filled.store.change_event_type(TENANT, "c", _described("c", CHECKED), quota=1)
    found = await filled.store.list_event_types(None, before=None, limit=10)
    assert found == [one]


async def test_a_deleted_one_is_told_and_leaves_no_versions(filled: Filled) -> None:
    await _put(filled, "a.b")
    await filled.store.delete_event_type(TENANT, "a.b", now_ms=NOW_MS)
    assert filled.told[-1].forgotten_event_types == [(TENANT, "a.b")]
    assert await filled.store.list_schema_versions(TENANT, "a.b") == []
    with pytest.raises(NotFound):
        await filled.store.delete_event_type(TENANT, "a.b", now_ms=NOW_MS)


async def test_an_erased_tenant_has_no_catalogue(filled: Filled) -> None:
    kept = await _put(filled, "a.b")
    await _put(filled, "a.b", "acme")
    await filled.store.erase_tenant("acme", now_ms=NOW_MS, limit=100)
    assert await filled.store.list_event_types(None, before=None, limit=10) == [kept]
    assert [("acme", "a.b")] in [told.forgotten_event_types for told in filled.told]


async def test_an_event_that_does_not_fit_is_let_in_only_as_a_repeat(filled: Filled) -> None:
    await filled.subscribe()
    faults = (Fault("/data/n", "no"),)
    event = an_event(event_id="evt_1")
    unfitting = msgspec.structs.replace(event, faults=faults)
    assert await filled.store.accept_events([unfitting], now_ms=NOW_MS) == [Unfitting(faults)]
    await filled.store.accept_events([event], now_ms=NOW_MS)
    (answer,) = await filled.store.accept_events([unfitting], now_ms=NOW_MS)
    assert isinstance(answer, Accepted)
    assert answer.is_repeat
