"""Subscriptions: create, change, delete, pause, resume and disable.

A change is a pure function that runs inside the store's transaction. When it answers the very same
object, nothing is written and the version stays. `by` is the id of the key that asks, for the
audit record.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tidings.core import limits
from tidings.core.addresses import AddressRules
from tidings.core.audit import NOBODY
from tidings.core.grammar import OPERATOR
from tidings.core.pattern import reaches_only_reserved
from tidings.core.refusals import Fault, IdempotencyKeyReused, ValidationFailed
from tidings.core.subscription import Change, SigningSecret, Subscription, touched, turned
from tidings.core.verification import Verification, unproven
from tidings.operations.signing_secrets import (
    Rotated,
    SecretRules,
    new_secret,
    rotated,
)
from tidings.operations.wish import Wish, wish_of
from tidings.ports.clock import Chance, Clock
from tidings.ports.records import IdempotentAnswer, SubscriptionRecord
from tidings.ports.store import Store

FIRST_VERSION: Final = 1

Precondition = Callable[[Subscription], None]
"""Raises `PreconditionFailed` for a subscription that is not as the client expects."""


@dataclass(frozen=True, slots=True)
class SubscriptionRules:
    """What an operator allows: addresses, secrets, and how many a tenant may have.

    `verification` says whether an endpoint must prove that it wants events.
    """

    addresses: AddressRules
    secrets: SecretRules
    subscriptions_max: int
    verification: Verification = Verification.OFF
    equal_subscriptions_max: int = limits.EQUAL_SUBSCRIPTIONS_MAX_DEFAULT


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that its client may repeat: its key, what it asked, and how it is answered."""

    key: str
    fingerprint: bytes
    answer_of: Callable[[Subscription], bytes]


def no_precondition(_subscription: Subscription) -> None:
    """The client expects nothing in particular."""


class Subscriptions:
    """The verbs on subscriptions. All of them know only subscriptions of the tenant given."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: Chance,
        rules: SubscriptionRules,
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._rules = rules

    async def create(
        self,
        tenant_id: str,
        wish: Wish,
        *,
        secret: str | None = None,
        request: IdempotentRequest | None = None,
        by: str = NOBODY,
    ) -> Subscription | IdempotentAnswer:
        """Store a new subscription, or find how the same request was answered before.

        Nothing is sent. Where endpoints must prove that they want events, it waits for the proof.

        Raises `ValidationFailed`, `CallbackUrlRefused`, `QuotaExceeded` and
        `IdempotencyKeyReused`.
        """
        wish.check(self._rules.addresses)
        _check_reach(tenant_id, wish)
        now_ms = self._clock.now_ms()
        first_secret = new_secret(secret, self._rules.secrets, self._chance)
        active = wish.applied_to(
            Subscription(
                subscription_id=self._chance.new_id("sub", now_ms),
                tenant_id=tenant_id,
                event_type=wish.event_type,
                callback_url=wish.callback_url,
                created_at_ms=now_ms,
                updated_at_ms=now_ms,
                secrets=(SigningSecret(first_secret, now_ms),),
                version=FIRST_VERSION,
            )
        )
        subscription = unproven(active, self._rules.verification)
        idempotency = None
        if request is not None:
            answer = IdempotentAnswer(request.fingerprint, request.answer_of(subscription))
            idempotency = (request.key, answer)
        earlier = await self._store.create_subscription(
            subscription,
            quota=self._rules.subscriptions_max,
            equal_max=self._rules.equal_subscriptions_max,
            idempotency=idempotency,
            by=by,
        )
        if request is None or earlier is None:
            return subscription
        if earlier.fingerprint != request.fingerprint:
            raise IdempotencyKeyReused("this Idempotency-Key was used for another request")
        return earlier

    async def change(
        self,
        tenant_id: str,
        subscription_id: str,
        reword: Callable[[Wish], Wish],
        *,
        precondition: Precondition = no_precondition,
        by: str = NOBODY,
    ) -> SubscriptionRecord:
        """Put another wish in place of the present one. Another callback URL is not proven yet.

        Raises `NotFound`, `ValidationFailed`, `CallbackUrlRefused`, `PreconditionFailed` and
        `QuotaExceeded`.
        """
        now_ms = self._clock.now_ms()

        def changed(old: Subscription) -> Subscription:
            precondition(old)
            before = wish_of(old)
            wish = reword(before)
            wish.check(self._rules.addresses, before=before)
            _check_reach(tenant_id, wish)
            if wish == before:
                return old
            new = touched(wish.applied_to(old), now_ms)
            is_elsewhere = wish.callback_url != before.callback_url
            return unproven(new, self._rules.verification) if is_elsewhere else new

        return await self._store.change_subscription(
            tenant_id,
            subscription_id,
            changed,
            equal_max=self._rules.equal_subscriptions_max,
            by=by,
        )

    async def delete(
        self,
        tenant_id: str,
        subscription_id: str,
        *,
        precondition: Precondition = no_precondition,
        by: str = NOBODY,
    ) -> None:
        """Delete a subscription. Raises `NotFound` and `PreconditionFailed`."""
        now_ms = self._clock.now_ms()

        def deleted(old: Subscription) -> Subscription:
            precondition(old)
            gone = turned(old, Change.DELETE, now_ms=now_ms)
            return replace(gone, secrets=(), headers=())

        await self._store.change_subscription(tenant_id, subscription_id, deleted, by=by)

    async def pause(
        self, tenant_id: str, subscription_id: str, *, by: str = NOBODY
    ) -> SubscriptionRecord:
        """Hold its deliveries back. Raises `NotFound` and `InvalidState`."""
        return await self._turn(tenant_id, subscription_id, Change.PAUSE, by)

    async def resume(
        self, tenant_id: str, subscription_id: str, *, by: str = NOBODY
    ) -> SubscriptionRecord:
        """Send again, and forget its failures. Raises `NotFound` and `InvalidState`."""
        return await self._turn(tenant_id, subscription_id, Change.RESUME, by)

    async def disable(
        self, tenant_id: str, subscription_id: str, *, by: str = NOBODY
    ) -> SubscriptionRecord:
        """Switch it off; what is unfinished becomes dead letters. Raises `NotFound`."""
        return await self._turn(tenant_id, subscription_id, Change.DISABLE, by)

    async def rotate(
        self,
        tenant_id: str,
        subscription_id: str,
        *,
        secret: str | None = None,
        overlap_seconds: int = limits.SECRET_OVERLAP_SECONDS_DEFAULT,
        by: str = NOBODY,
    ) -> Rotated:
        """Sign with a new secret from now on, and with the old ones until their overlap ends.

        Raises `NotFound`, `ValidationFailed` for a secret that cannot be one, and
        `TooManySecrets`.
        """
        now_ms = self._clock.now_ms()
        fresh = new_secret(secret, self._rules.secrets, self._chance)

        def changed(old: Subscription) -> Subscription:
            secrets = rotated(old.secrets, fresh, overlap_seconds=overlap_seconds, now_ms=now_ms)
            return touched(replace(old, secrets=secrets), now_ms)

        await self._store.change_subscription(tenant_id, subscription_id, changed, by=by)
        return Rotated(fresh, now_ms + overlap_seconds * 1_000)

    async def secrets(
        self, tenant_id: str, subscription_id: str, *, by: str = NOBODY
    ) -> tuple[SigningSecret, ...]:
        """The secrets that sign at this moment, newest first. Raises `NotFound`.

        That they were shown is put down before they are.
        """
        now_ms = self._clock.now_ms()
        await self._store.note_secrets_read(tenant_id, subscription_id, now_ms=now_ms, by=by)
        record = await self._store.get_subscription(tenant_id, subscription_id)
        return record.subscription.live_secrets(now_ms)

    async def _turn(
        self, tenant_id: str, subscription_id: str, change: Change, by: str
    ) -> SubscriptionRecord:
        now_ms = self._clock.now_ms()
        return await self._store.change_subscription(
            tenant_id, subscription_id, lambda old: turned(old, change, now_ms=now_ms), by=by
        )


def _check_reach(tenant_id: str, wish: Wish) -> None:
    """See that the operator's subscriptions, which all tenants' events reach, get only our own."""
    if tenant_id == OPERATOR and not reaches_only_reserved(wish.event_type):
        raise ValidationFailed(
            "a subscription of the operator gets lifecycle events alone",
            faults=[Fault("/eventType", "each pattern must begin with tidings")],
        )
