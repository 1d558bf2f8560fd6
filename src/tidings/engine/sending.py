"""One attempt: sign the frozen body, send it, and put down what came of it."""

import logging
from collections.abc import Callable
from functools import lru_cache

from tidings.core.attempt import Answer, Attempt, ErrorClass, error_class_of, outcome_of
from tidings.core.delivery import Delivery
from tidings.core.payload import Form, Payloads, media_type, trial_form
from tidings.core.subscription import Subscription
from tidings.ports.clock import Chance, Clock
from tidings.ports.records import StoredBody
from tidings.ports.transport import OutboundRequest, Transport
from tidings.signing import key_of_secret, signature_header

_LOG = logging.getLogger(__name__)
_TRIAL_DELIVERY_ID = ""
_NO_EVENT_SEQ = 0
_OUR_ERROR = Answer(error_class=ErrorClass.INTERNAL, error_detail="an error in Tidings")
_UNSIGNED = Answer(error_class=ErrorClass.INTERNAL, error_detail="there is no secret to sign with")

_key_of_secret = lru_cache(maxsize=10_000)(key_of_secret)


class Sender:
    """Makes attempts. Everything that can go wrong becomes an `Answer`."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        chance: Chance,
        payloads: Payloads,
        *,
        version: str,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._chance = chance
        self._payloads = payloads
        self._version = version
        self._own_headers = {
            form: (("Content-Type", media_type(form)), ("User-Agent", f"Tidings/{version}"))
            for form in Form
        }

    def request(
        self,
        subscription: Subscription,
        stored: StoredBody,
        form: Form,
        event_seq: int,
        *,
        now_ms: int,
        may_leave: Callable[[], bool] | None = None,
    ) -> OutboundRequest | None:
        """What brings an event, in its form, signed with the secrets that are live now.

        None if there are none: nothing goes unsigned. `may_leave` is asked at the last moment, if
        connecting has taken time.
        """
        timestamp = now_ms // 1_000
        keys = [_key_of_secret(secret.secret) for secret in subscription.live_secrets(now_ms)]
        if not keys:
            return None
        body = self._payloads.body(form, subscription.tenant_id, event_seq, stored.body)
        signature = signature_header(keys, stored.event_id, timestamp, body)
        headers = (
            *self._own_headers[form],
            ("webhook-id", stored.event_id),
            ("webhook-timestamp", str(timestamp)),
            ("webhook-signature", signature),
            *((("webhook-hops", str(stored.hops)),) if stored.hops else ()),
            *subscription.headers,
        )
        return OutboundRequest(
            subscription.subscription_id,
            subscription.callback_url,
            headers,
            body,
            subscription.timeout_seconds,
            may_leave,
        )

    def begin(
        self, request: OutboundRequest | None, on_answer: Callable[[Answer], None]
    ) -> Callable[[], None] | None:
        """Send a request if it has to wait for nothing; see `Transport`."""
        if request is None:
            return None
        try:
            return self._transport.begin(request, on_answer)
        except Exception:  # noqa: BLE001 - as in `send`, which finds the same
            _LOG.exception("sending failed", extra={"subscription_id": request.subscription_id})
            on_answer(_OUR_ERROR)
            return _nothing

    async def send(self, request: OutboundRequest | None) -> Answer:
        """Send a request once."""
        if request is None:
            return _UNSIGNED
        try:
            return await self._transport.send(request)
        except Exception:  # noqa: BLE001 - a bug in one send is not the end of the engine
            _LOG.exception("sending failed", extra={"subscription_id": request.subscription_id})
            return _OUR_ERROR

    def attempt(
        self,
        delivery: Delivery,
        subscription: Subscription,
        answer: Answer,
        *,
        started_at_ms: int,
        duration_ms: int,
    ) -> Attempt:
        """The record of an attempt that was just made for a delivery."""
        return Attempt(
            attempt_id=self._chance.new_id("att", started_at_ms),
            delivery_id=delivery.delivery_id,
            round=delivery.round,
            number=delivery.attempt_count + 1,
            started_at_ms=started_at_ms,
            duration_ms=duration_ms,
            outcome=outcome_of(answer),
            status_code=answer.status_code,
            error_class=error_class_of(answer),
            error_detail=answer.error_detail,
            sent_by=self._version,
            custom_header_names=tuple(name for name, _ in subscription.headers),
            response_headers=answer.headers,
            response_body=answer.body,
        )

    async def trial(self, subscription: Subscription, event_id: str, body: bytes) -> Attempt:
        """Send an event outside of any delivery, as for a test; nothing is stored."""
        started_at_ms, began_ms = self._clock.now_ms(), self._clock.monotonic_ms()
        form = trial_form(subscription.payload_format)
        stored = StoredBody(event_id, body)
        answer = await self.send(
            self.request(subscription, stored, form, _NO_EVENT_SEQ, now_ms=started_at_ms)
        )
        nothing = Delivery(
            seq=0,
            delivery_id=_TRIAL_DELIVERY_ID,
            tenant_id=subscription.tenant_id,
            subscription_id=subscription.subscription_id,
            event_seq=_NO_EVENT_SEQ,
        )
        return self.attempt(
            nothing,
            subscription,
            answer,
            started_at_ms=started_at_ms,
            duration_ms=round(self._clock.monotonic_ms() - began_ms),
        )


def _nothing() -> None:
    """Gives up what is over already."""
