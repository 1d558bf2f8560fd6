"""Keys and principals: what is kept, what is let in, and what follows from a commit."""

from pathlib import Path

import pytest

from tests.support.api_world import ApiWorld
from tidings.core.refusals import (
    MissingScope,
    NotFound,
    Unauthorized,
    ValidationFailed,
    WrongTenant,
)
from tidings.core.timestamp import timestamp_ms
from tidings.operations.access import DEVELOPER, EVERYBODY, Access, Principal, Scope
from tidings.ports.store import StoreUnavailable
from tidings.storage.sqlite import maintenance

GLOBAL = Principal("key_1", frozenset({Scope.ADMIN}))
ACME = Principal("key_2", frozenset({Scope.EVENTS_READ}), "acme")


def test_admin_allows_everything_and_nobody_else_does() -> None:
    for scope in Scope:
        GLOBAL.require(scope)
        assert ACME.allows(scope) == (scope is Scope.EVENTS_READ)
        assert not EVERYBODY.allows(scope)
    with pytest.raises(MissingScope):
        ACME.require(Scope.ADMIN)


@pytest.mark.parametrize(
    ("principal", "named", "tenant_id"),
    [
        (GLOBAL, None, "default"),
        (GLOBAL, "acme", "acme"),
        (ACME, None, "acme"),
        (ACME, "acme", "acme"),
    ],
)
def test_a_request_is_about_one_tenant(
    principal: Principal, named: str | None, tenant_id: str
) -> None:
    assert principal.tenant(named) == tenant_id
    assert principal.tenants(named) == tenant_id


def test_all_tenants_are_for_global_keys() -> None:
    assert GLOBAL.tenants("*") is None
    with pytest.raises(WrongTenant):
        ACME.tenants("*")
    with pytest.raises(WrongTenant):
        ACME.tenant("other")
    with pytest.raises(WrongTenant):
        ACME.require_global()
    with pytest.raises(ValidationFailed):
        GLOBAL.tenant("*")


async def test_only_a_hash_of_a_key_is_kept(world: ApiWorld) -> None:
    key, text = await world.access.create(DEVELOPER, name="x", scopes=[Scope.ADMIN])
    stored = await world.store.load_api_keys()
    assert stored == [key]
    assert text not in repr(stored)
    assert world.access.authenticate(text.encode()).key_id == key.key_id


async def test_keys_that_others_make_and_revoke_hold_from_their_commit_on(world: ApiWorld) -> None:
    other = Access(world.store, world.clock, world.chance)
    await other.load()
    assert not other.has_keys()
    key, text = await world.access.create(DEVELOPER, name="x", scopes=[Scope.ADMIN])
    assert other.authenticate(text.encode()).key_id == key.key_id
    await world.access.revoke(None, key.key_id)
    with pytest.raises(Unauthorized):
        other.authenticate(text.encode())
    assert not other.has_keys()


async def test_keys_outlive_the_process(world: ApiWorld) -> None:
    _, text = await world.access.create(DEVELOPER, name="x", scopes=[Scope.EVENTS_READ])
    later = Access(world.store, world.clock, world.chance)
    await later.load()
    assert later.has_keys()
    assert later.authenticate(text.encode()).scopes == {"events:read"}


async def test_a_key_grants_what_its_maker_has(world: ApiWorld) -> None:
    maker = Principal("key_1", frozenset({Scope.EVENTS_READ}), "acme")
    key, _ = await world.access.create(maker, name="x", scopes=[Scope.EVENTS_READ])
    assert key.tenant_id == "acme"
    with pytest.raises(MissingScope):
        await world.access.create(maker, name="x", scopes=[Scope.EVENTS_WRITE])
    with pytest.raises(WrongTenant):
        await world.access.create(maker, name="x", scopes=[Scope.EVENTS_READ], tenant_id="other")


async def test_a_key_ends_to_the_millisecond(world: ApiWorld) -> None:
    now_ms = world.clock.now_ms()
    with pytest.raises(ValidationFailed):
        await world.access.create(
            DEVELOPER, name="x", scopes=[Scope.ADMIN], expires_at_ms=now_ms - 1
        )


async def test_an_administrator_is_admitted_once(world: ApiWorld) -> None:
    given = await world.access.admit_administrator("a-key-of-the-operator")
    assert given == "a-key-of-the-operator"
    await world.access.admit_administrator(given)
    assert len(await world.store.load_api_keys()) == 1
    assert world.access.authenticate(given.encode()).allows(Scope.ADMIN)
    made = await world.access.admit_administrator()
    assert world.access.authenticate(made.encode()).tenant_id is None


async def test_an_unknown_key_cannot_be_revoked(world: ApiWorld) -> None:
    with pytest.raises(NotFound):
        await world.access.revoke(None, "key_1")


async def test_when_a_key_was_last_used_is_put_down_in_one_go(
    world: ApiWorld, tmp_path: Path
) -> None:
    used, unused = await world.key(), await world.key()
    for _ in range(3):
        world.clock.ahead_ms += 1_000
        world.access.authenticate(used.encode())
    used_at_ms = world.clock.now_ms()
    await world.access.note_uses()
    first, second = sorted(
        one["lastUsedAt"] or "" for one in maintenance.keys(tmp_path / "tidings.db")
    )
    assert first == ""
    last_ms = timestamp_ms(second)
    assert last_ms is not None
    assert abs(last_ms - used_at_ms) < 1_000
    assert unused != used


async def test_a_store_that_is_away_loses_no_use_of_a_key(
    world: ApiWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await world.key()
    world.access.authenticate(key.encode())
    with monkeypatch.context() as patch:
        patch.setattr(world.store.writer, "_is_closed", True)
        with pytest.raises(StoreUnavailable):
            await world.access.note_uses()
    await world.access.note_uses()
    (row,) = maintenance.keys(tmp_path / "tidings.db")
    assert row["lastUsedAt"] is not None
