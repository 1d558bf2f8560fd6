"""Who may do what: API keys, their scopes, and the tenant that a key belongs to.

A key is a long random text of which only a hash is stored. All of them are held in memory, so a
look-up costs a hash and nothing else, and what a commit says about keys holds from that moment on.
When a key was last used is put down once a minute, for all keys at once.
"""

import asyncio
import base64
import hashlib
import logging
import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tidings.core import limits
from tidings.core.audit import NOBODY
from tidings.core.grammar import ALL_TENANTS, DEFAULT_TENANT, OPERATOR, public_id_fault
from tidings.core.rate import Rates
from tidings.core.refusals import (
    Fault,
    MissingScope,
    RateLimited,
    Unauthorized,
    ValidationFailed,
    WrongTenant,
)
from tidings.ports.clock import Chance, Clock
from tidings.ports.records import ApiKey
from tidings.ports.store import Committed, Store, StoreUnavailable

KEY_PREFIX: Final = "tidings_"
_KEY_BYTES: Final = 32
_USES_SECONDS: Final = 60.0
_LOG = logging.getLogger(__name__)


class Scope(StrEnum):
    """One thing that a key allows."""

    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    SUBSCRIPTIONS_READ = "subscriptions:read"
    SUBSCRIPTIONS_WRITE = "subscriptions:write"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_REPLAY = "deliveries:replay"
    SECRETS_READ = "secrets:read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a key, what it allows, and its tenant. Without `tenant_id` it is a global key."""

    key_id: str
    scopes: frozenset[str]
    tenant_id: str | None = None

    def allows(self, scope: str) -> bool:
        """Whether the key allows this; `admin` allows everything."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: str) -> None:
        """Raise `MissingScope` unless the key allows this."""
        if not self.allows(scope):
            raise MissingScope(f"this needs a key with the scope {scope}")

    def tenant(self, named: str | None) -> str:
        """The one tenant that a request is about.

        A key of a tenant always means that tenant, and may name no other (`WrongTenant`). A global
        key names one, or means the default tenant.
        """
        if named is not None:
            _check_tenant_id(named)
        if self.tenant_id is None:
            return DEFAULT_TENANT if named is None else named
        if named not in (None, self.tenant_id):
            raise WrongTenant("the key belongs to another tenant")
        return self.tenant_id

    def owner(self, named: str | None) -> str:
        """Whose thing a request is about: that of a tenant, or the operator's own, called ``*``.

        The operator's are for global keys with the scope `admin` alone: `WrongTenant`,
        `MissingScope`.
        """
        if named != OPERATOR:
            return self.tenant(named)
        self.require_global()
        self.require(Scope.ADMIN)
        return OPERATOR

    def tenants(self, named: str | None) -> str | None:
        """The tenant that a list is about; None is all of them, which a global key calls ``*``."""
        if named == ALL_TENANTS and self.tenant_id is None:
            return None
        if named == ALL_TENANTS:
            raise WrongTenant("the key sees one tenant alone")
        return self.tenant(named)

    def require_global(self) -> None:
        """Raise `WrongTenant` for the key of a tenant."""
        if self.tenant_id is not None:
            raise WrongTenant("this concerns all tenants, and the key belongs to one")


EVERYBODY: Final = Principal("", frozenset())
"""Who asks without a key, where none is needed."""
DEVELOPER: Final = Principal("", frozenset({Scope.ADMIN}))
"""Who asks without a key in development mode."""


class Access:
    """The API keys. `load` must have run before anybody is let in."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: Chance,
        *,
        requests_per_second: int | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._rates: Rates | None = None
        if requests_per_second is not None:
            self._rates = Rates(requests_per_second, burst_ms=limits.QUOTA_BURST_SECONDS * 1_000)
        self._by_hash: dict[bytes, ApiKey] = {}
        self._principals: dict[bytes, Principal] = {}
        self._hashes: dict[str, bytes] = {}
        self._used_at_ms: dict[str, int] = {}

    async def load(self) -> None:
        """Read all keys, and follow what commits do to them from here on."""
        self._store.on_commit(self._follow)
        for key in await self._store.load_api_keys():
            self._put(key)

    def has_keys(self) -> bool:
        """Whether there is any key at all; a fresh database has none."""
        return bool(self._by_hash)

    def authenticate(self, key: bytes) -> Principal:
        """Who holds this key, on whom a request is counted.

        Raises `Unauthorized` for a key that is unknown or has expired, and `RateLimited` for one
        that comes too often. Keys that are wrong are not counted: nobody can guess 256 bits, and to
        look one up costs less than to count it.
        """
        key_hash = hashlib.sha256(key).digest()
        principal = self._principals.get(key_hash)
        if principal is None:
            raise Unauthorized("the API key is not known here")
        now_ms = self._clock.now_ms()
        expires_at_ms = self._by_hash[key_hash].expires_at_ms
        if expires_at_ms is not None and expires_at_ms <= now_ms:
            raise Unauthorized("the API key has expired")
        self._used_at_ms[principal.key_id] = now_ms
        if self._rates is not None:
            wait_ms = self._rates.take(principal.key_id, self._clock.monotonic_ms())
            if wait_ms > 0:
                raise RateLimited(
                    "this API key makes too many requests",
                    retry_after_seconds=math.ceil(wait_ms / 1_000),
                )
        return principal

    def holds(self, principal: Principal) -> bool:
        """Whether the key is still good with which somebody was let in."""
        if not principal.key_id:
            return True
        key_hash = self._hashes.get(principal.key_id)
        if key_hash is None:
            return False
        expires_at_ms = self._by_hash[key_hash].expires_at_ms
        return expires_at_ms is None or expires_at_ms > self._clock.now_ms()

    async def create(
        self,
        principal: Principal,
        *,
        name: str,
        scopes: Collection[str],
        tenant_id: str | None = None,
        expires_at_ms: int | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key and answer it with its text, which is never shown again.

        It is given only what the asking principal has: `MissingScope`, `WrongTenant`.
        """
        now_ms = self._clock.now_ms()
        for scope in scopes:
            principal.require(scope)
        if tenant_id is not None or principal.tenant_id is not None:
            tenant_id = principal.tenant(tenant_id)
        if expires_at_ms is not None and expires_at_ms <= now_ms:
            raise ValidationFailed(
                "the key would have expired already",
                faults=[Fault("/expiresAt", "a moment in the future is needed")],
            )
        text = KEY_PREFIX + base64.urlsafe_b64encode(
            self._chance.key_bytes(_KEY_BYTES)
        ).decode().rstrip("=")
        key = ApiKey(
            self._chance.new_id("key", now_ms),
            hashlib.sha256(text.encode()).digest(),
            name,
            tuple(sorted(set(scopes))),
            tenant_id,
            now_ms,
            expires_at_ms,
        )
        await self._store.create_api_key(key, by=principal.key_id)
        return key, text

    async def admit_administrator(self, text: str | None = None) -> str:
        """Store a global admin key: this text, or a new one. Answers the text.

        A text that is a key already is left as it is.
        """
        if text is None:
            _, text = await self.create(DEVELOPER, name="administrator", scopes=[Scope.ADMIN])
            return text
        key_hash = hashlib.sha256(text.encode()).digest()
        if key_hash not in self._by_hash:
            now_ms = self._clock.now_ms()
            key_id = self._chance.new_id("key", now_ms)
            await self._store.create_api_key(
                ApiKey(key_id, key_hash, "administrator", (Scope.ADMIN.value,), None, now_ms)
            )
        return text

    async def list_keys(
        self, tenant_id: str | None, *, before: str | None, limit: int
    ) -> list[ApiKey]:
        """Keys, newest first; `tenant_id` None means all."""
        return await self._store.list_api_keys(tenant_id, before=before, limit=limit)

    async def revoke(self, tenant_id: str | None, key_id: str, *, by: str = NOBODY) -> None:
        """Forget a key, at once; with a `tenant_id` only one of that tenant. Raises `NotFound`."""
        now_ms = self._clock.now_ms()
        await self._store.revoke_api_key(tenant_id, key_id, now_ms=now_ms, by=by)

    async def run(self) -> None:
        """Put down now and then when keys were last used, for ever."""
        while True:
            await asyncio.sleep(_USES_SECONDS)
            try:
                await self.note_uses()
            except StoreUnavailable as fault:
                _LOG.warning("the use of keys waits for the store: %s", fault)

    async def note_uses(self) -> None:
        """Put down when keys were last used. Raises `StoreUnavailable`; then nothing is lost."""
        used, self._used_at_ms = self._used_at_ms, {}
        if not used:
            return
        try:
            await self._store.note_key_uses(used)
        except StoreUnavailable:
            self._used_at_ms = used | self._used_at_ms
            raise

    def _follow(self, committed: Committed) -> None:
        for key in committed.keys:
            self._put(key)
        for key_id in committed.revoked_key_ids:
            key_hash = self._hashes.pop(key_id, None)
            if key_hash is not None:
                del self._by_hash[key_hash]
                del self._principals[key_hash]

    def _put(self, key: ApiKey) -> None:
        self._by_hash[key.key_hash] = key
        self._hashes[key.key_id] = key.key_hash
        self._principals[key.key_hash] = Principal(key.key_id, frozenset(key.scopes), key.tenant_id)


def _check_tenant_id(named: str) -> None:
    fault = public_id_fault(named)
    if fault is not None:
        raise ValidationFailed("the tenant id is not valid", faults=[Fault("/tenantId", fault)])
