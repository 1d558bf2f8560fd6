"""Trials: requests to an endpoint that somebody asks for, outside of any delivery.

A test sends an event and tells what came of it. Verifying sends a challenge, which the endpoint
must say back to prove that it wants events.
"""

import math
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tidings.core import limits
from tidings.core.attempt import Attempt, ErrorClass, Outcome
from tidings.core.audit import NOBODY
from tidings.core.event import frozen_body
from tidings.core.pattern import event_type_fault
from tidings.core.payload import Form, trial_form
from tidings.core.refusals import Fault, InvalidState, RateLimited, Unavailable, ValidationFailed
from tidings.core.subscription import Change, Subscription, status_after, takes_no_events
from tidings.core.timestamp import format_timestamp
from tidings.core.trial_limits import TrialLimits, host_of
from tidings.core.verification import (
    BAD_CHALLENGE,
    CHALLENGE_BYTES,
    CHALLENGE_EVENT_TYPE,
    Verification,
    challenge_data,
    excused,
    fault_of_proof,
    proven,
)
from tidings.ports.clock import Chance, Clock
from tidings.ports.records import SubscriptionRecord
from tidings.ports.store import Store

TEST_EVENT_TYPE: Final = "tidings.test"

SendTrial = Callable[[Subscription, str, bytes], Awaitable[Attempt]]
"""Sends a body as an event of that id to a subscription, once, on behalf of the engine."""

# Coarse on purpose: what an endpoint said, or where a name led, is nobody's to learn by this.
_FAULTS: Final[Mapping[str, str]] = {
    ErrorClass.TIMEOUT: "it did not answer in time",
    ErrorClass.CONNECTION_REFUSED: "it cannot be reached",
    ErrorClass.CONNECTION_RESET: "it closed the connection before it answered",
    ErrorClass.DNS: "its name cannot be resolved",
    ErrorClass.TLS: "its certificate or its TLS is not accepted",
    ErrorClass.PROTOCOL: "its answer is not HTTP/1.1",
    ErrorClass.HTTP_STATUS: "its answer was not a status from 200 to 299",
    ErrorClass.BLOCKED_ADDRESS: "its address may not be called",
    BAD_CHALLENGE: "its answer did not say the challenge back",
}


@dataclass(frozen=True, slots=True)
class Tested:
    """A test that was sent: under which event id, in which form, and what came of it."""

    event_id: str
    form: Form
    attempt: Attempt


class Trials:
    """The verbs that send something now. They know only subscriptions of the tenant given."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: Chance,
        send: SendTrial,
        *,
        verification: Verification = Verification.OFF,
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._send = send
        self._verification = verification
        self._challenges = TrialLimits(limits.CHALLENGES_PER_MINUTE_MAX)
        self._tests = TrialLimits(limits.TESTS_PER_MINUTE_MAX)

    async def test(
        self,
        tenant_id: str,
        subscription_id: str,
        *,
        event_type: str = TEST_EVENT_TYPE,
        data: bytes = b"{}",
    ) -> Tested:
        """Send an event that is stored nowhere, now, whatever the endpoint's health.

        Raises `NotFound`, `ValidationFailed` for the event type, `InvalidState` unless the
        subscription is active or paused, and `RateLimited`.
        """
        fault = None if event_type == TEST_EVENT_TYPE else event_type_fault(event_type)
        if fault is not None:
            raise ValidationFailed(
                "the event type is not valid", faults=[Fault("/eventType", fault)]
            )
        record = await self._store.get_subscription(tenant_id, subscription_id)
        if not record.subscription.takes_events:
            raise takes_no_events(record.subscription.status)
        return await self._sent(record.subscription, event_type, data, self._tests)

    async def verify(
        self, tenant_id: str, subscription_id: str, *, by: str = NOBODY
    ) -> SubscriptionRecord:
        """Have an endpoint prove that it wants events; its subscription is active then.

        A fresh challenge is sent unless the present callback URL is proven already, or proofs are
        switched off. Raises `NotFound`; `InvalidState` for a paused or disabled subscription and,
        with an error class, for an endpoint that did not prove itself; `RateLimited`; and
        `Unavailable` when it could not be asked through a fault of ours.
        """
        record = await self._store.get_subscription(tenant_id, subscription_id)
        subscription = record.subscription
        status_after(subscription.status, Change.VERIFY)
        if self._verification is Verification.OFF:
            now_ms = self._clock.now_ms()
            return await self._change(subscription, lambda old: excused(old, now_ms=now_ms), by)
        if subscription.verified_at_ms is not None:
            return record
        await self._challenge(subscription)
        now_ms = self._clock.now_ms()
        return await self._change(
            subscription, lambda old: proven(old, subscription.callback_url, now_ms=now_ms), by
        )

    async def _challenge(self, subscription: Subscription) -> None:
        """Send a challenge that nobody knows yet. Raises unless it comes back."""
        drawn = self._chance.key_bytes(CHALLENGE_BYTES)
        challenge = urlsafe_b64encode(drawn).rstrip(b"=").decode("ascii")
        data = challenge_data(challenge)
        sent = await self._sent(subscription, CHALLENGE_EVENT_TYPE, data, self._challenges)
        if sent.attempt.outcome is Outcome.OUR_FAULT:
            raise Unavailable("the challenge could not be sent; this is no fault of the endpoint")
        fault = fault_of_proof(sent.attempt, challenge)
        if fault is not None:
            raise InvalidState(
                f"the endpoint did not prove that it wants events: {_FAULTS[fault]}; "
                f"the subscription is still {subscription.status}",
                error_class=fault,
            )

    async def _sent(
        self, subscription: Subscription, event_type: str, data: bytes, trials: TrialLimits
    ) -> Tested:
        host = host_of(subscription.callback_url)
        wait_ms = trials.begin(subscription.tenant_id, host, self._clock.monotonic_ms())
        if wait_ms > 0:
            raise RateLimited(
                "too many requests of this kind have gone out for this tenant or to this host",
                retry_after_seconds=math.ceil(wait_ms / 1_000),
            )
        try:
            now_ms = self._clock.now_ms()
            event_id = self._chance.new_id("evt", now_ms)
            body = frozen_body(event_id, event_type, format_timestamp(now_ms), data)
            form = trial_form(subscription.payload_format)
            return Tested(event_id, form, await self._send(subscription, event_id, body))
        finally:
            trials.end(host)

    async def _change(
        self,
        subscription: Subscription,
        change: Callable[[Subscription], Subscription],
        by: str,
    ) -> SubscriptionRecord:
        return await self._store.change_subscription(
            subscription.tenant_id, subscription.subscription_id, change, by=by
        )
