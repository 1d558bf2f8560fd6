"""Webhook subscriptions over HTTP."""

import hashlib
from typing import Final

import msgspec
from msgspec import UNSET

from tidings.api.answers import NO_STORE, NOTHING, Answer, Encoded, encode
from tidings.api.call import Call, moment_ms
from tidings.api.etags import etag_header, precondition
from tidings.api.pagination import read_page
from tidings.api.wire.base import TenantBody, data_object
from tidings.api.wire.deliveries import (
    BegunReplay,
    ReplaySubscriptionRequest,
    ShownAttempt,
    begun_replay,
    shown_attempt,
)
from tidings.api.wire.queries import SubscriptionListQuery, TenantQuery
from tidings.api.wire.subscriptions import (
    CreateWebhookSubscriptionRequest,
    FilterAnswer,
    PatchWebhookSubscriptionRequest,
    RotatedSecret,
    RotateSecretRequest,
    SendTestRequest,
    ShownSecrets,
    TryFilterRequest,
    WebhookSubscription,
    WebhookSubscriptionPage,
    reworded,
    shown_rotation,
    shown_secret,
    shown_subscription,
    wish_of_request,
)
from tidings.core.content_filter import FilterOutcome
from tidings.core.health import HEALTHY
from tidings.core.subscription import Subscription
from tidings.operations.filtering import filter_outcome
from tidings.operations.subscriptions import FIRST_VERSION, IdempotentRequest
from tidings.operations.trials import TEST_EVENT_TYPE
from tidings.ports.records import (
    IdempotentAnswer,
    ReplayScope,
    SubscriptionFilter,
    SubscriptionRecord,
)


class _Identified(msgspec.Struct, rename="camel"):
    subscription_id: str


_IDENTIFIED: Final = msgspec.json.Decoder(_Identified)


async def create(call: Call, body: CreateWebhookSubscriptionRequest) -> Answer[WebhookSubscription]:
    """Create a webhook subscription.

    The secret stands in this answer and never again in one without `secrets:read`. A repeat with
    the same `Idempotency-Key` gets the same answer for 24 hours.
    """
    tenant_id = call.principal.owner(body.tenant_id)
    request = None
    key = call.idempotency_key
    if key is not None:
        asked = hashlib.sha256(encode((tenant_id, body))).digest()
        # The answer holds the secret, so it is repeated to the same API key alone.
        request_key = f"{call.principal.key_id}:{key}"
        request = IdempotentRequest(request_key, asked, lambda made: encode(_with_secret(made)))
    created = await call.services.subscriptions.create(
        tenant_id,
        wish_of_request(body),
        secret=body.secret,
        request=request,
        by=call.principal.key_id,
    )
    if isinstance(created, IdempotentAnswer):
        answer = created.answer
    else:
        answer = encode(_with_secret(created))
    subscription_id = _IDENTIFIED.decode(answer).subscription_id
    headers = (
        call.location(f"/webhook-subscriptions/{subscription_id}"),
        etag_header(subscription_id, FIRST_VERSION),
        NO_STORE,
    )
    return Answer(Encoded(answer), headers)


async def try_filter(
    call: Call, query: TenantQuery, body: TryFilterRequest
) -> Answer[FilterAnswer]:
    """Ask a filter about the data of an event. Nothing is stored."""
    call.tenant(query, body)
    outcome = filter_outcome(bytes(body.filter).decode(), data_object(body.data))
    return Answer(FilterAnswer(matches=outcome is FilterOutcome.MATCH))


async def show(call: Call, query: TenantQuery) -> Answer[WebhookSubscription]:
    """Get a webhook subscription."""
    tenant_id = call.tenant(query)
    return _answer(await call.services.inspection.subscription(tenant_id, call.path_id))


async def list_all(call: Call, query: SubscriptionListQuery) -> Answer[WebhookSubscriptionPage]:
    """List webhook subscriptions, newest first."""
    wanted = SubscriptionFilter(
        call.principal.tenants(query.tenant_id),
        event_type=query.event_type,
        status=query.status,
        since_ms=moment_ms("since", query.since),
        until_ms=moment_ms("until", query.until),
    )
    records, cursor = await read_page(
        call.services.settings.cursor_key,
        ("subscriptions", wanted),
        query,
        lambda before, limit: call.services.inspection.subscriptions(
            wanted, before=before, limit=limit
        ),
        lambda record: record.subscription.subscription_id,
    )
    items = [shown_subscription(one.subscription, one.health) for one in records]
    return Answer(WebhookSubscriptionPage(items=items, next_cursor=cursor))


async def change(
    call: Call, query: TenantQuery, body: PatchWebhookSubscriptionRequest
) -> Answer[WebhookSubscription]:
    """Change a webhook subscription by a merge patch.

    Unfinished deliveries use the new URL, headers and policy; a new `eventType` concerns later
    events. Where endpoints must prove that they want events, another `callbackUrl` waits for that.
    With `If-Match` it is changed only in the version that the ETag stands for.
    """
    record = await call.services.subscriptions.change(
        call.tenant(query),
        call.path_id,
        lambda wish: reworded(wish, body),
        precondition=precondition(call.headers),
        by=call.principal.key_id,
    )
    return _answer(record)


async def delete(call: Call, query: TenantQuery) -> Answer[None]:
    """Delete a webhook subscription. Its unfinished deliveries are cancelled."""
    await call.services.subscriptions.delete(
        call.tenant(query),
        call.path_id,
        precondition=precondition(call.headers),
        by=call.principal.key_id,
    )
    return NOTHING


async def pause(call: Call, query: TenantQuery, body: TenantBody) -> Answer[WebhookSubscription]:
    """Hold deliveries back. New events still create deliveries, which wait."""
    tenant_id = call.tenant(query, body)
    verb, by = call.services.subscriptions.pause, call.principal.key_id
    return _answer(await verb(tenant_id, call.path_id, by=by))


async def resume(call: Call, query: TenantQuery, body: TenantBody) -> Answer[WebhookSubscription]:
    """Send again, and forget the endpoint's failures."""
    tenant_id = call.tenant(query, body)
    verb, by = call.services.subscriptions.resume, call.principal.key_id
    return _answer(await verb(tenant_id, call.path_id, by=by))


async def disable(call: Call, query: TenantQuery, body: TenantBody) -> Answer[WebhookSubscription]:
    """Switch a subscription off. Its unfinished deliveries become dead letters."""
    tenant_id = call.tenant(query, body)
    verb, by = call.services.subscriptions.disable, call.principal.key_id
    return _answer(await verb(tenant_id, call.path_id, by=by))


async def verify(call: Call, query: TenantQuery, body: TenantBody) -> Answer[WebhookSubscription]:
    """Have the endpoint prove that it wants events: the subscription is active then.

    A signed event `tidings.verification` is sent to the callback URL. Its `data.challenge` must
    come back with a status from 200 to 299, in a JSON object as the member `challenge` or as the
    whole text. If it does not, nothing changes and the problem's `errorClass` says why. What is
    proven already is not asked again.
    """
    tenant_id = call.tenant(query, body)
    verb, by = call.services.trials.verify, call.principal.key_id
    return _answer(await verb(tenant_id, call.path_id, by=by))


async def show_secrets(call: Call, query: TenantQuery) -> Answer[ShownSecrets]:
    """Get the secrets that sign at this moment."""
    tenant_id = call.tenant(query)
    secrets = await call.services.subscriptions.secrets(
        tenant_id, call.path_id, by=call.principal.key_id
    )
    return Answer(ShownSecrets(secrets=[shown_secret(one) for one in secrets]), (NO_STORE,))


async def rotate_secret(
    call: Call, query: TenantQuery, body: RotateSecretRequest
) -> Answer[RotatedSecret]:
    """Sign with a new secret, and for a while with the previous ones too."""
    rotated = await call.services.subscriptions.rotate(
        call.tenant(query, body),
        call.path_id,
        secret=body.secret,
        overlap_seconds=body.overlap_seconds,
        by=call.principal.key_id,
    )
    return Answer(shown_rotation(rotated), (NO_STORE,))


async def send_test(call: Call, query: TenantQuery, body: SendTestRequest) -> Answer[ShownAttempt]:
    """Send a signed test event now, also while paused, and tell what came of it.

    The event is stored nowhere, and the attempt is told here alone.
    """
    data = b"{}" if body.data is UNSET else data_object(body.data)
    tested = await call.services.trials.test(
        call.tenant(query, body),
        call.path_id,
        event_type=body.event_type or TEST_EVENT_TYPE,
        data=data,
    )
    return Answer(shown_attempt(tested.attempt, tested.event_id, tested.form))


async def replay(
    call: Call, query: TenantQuery, body: ReplaySubscriptionRequest
) -> Answer[BegunReplay]:
    """Deliver again what a subscription did not get, or all of it.

    It goes on in the background; `GET /replays/{replayId}` tells how far it is. What is unfinished
    is skipped.
    """
    scope = ReplayScope(
        call.tenant(query, body),
        body.only,
        subscription_id=call.path_id,
        patterns=body.event_type,
        since_ms=moment_ms("since", body.since, is_in_body=True),
        until_ms=moment_ms("until", body.until, is_in_body=True),
    )
    begun = await call.services.replays.replay_many(
        scope, is_dry_run=body.dry_run, by=call.principal.key_id
    )
    return Answer(begun_replay(begun))


def _answer(record: SubscriptionRecord) -> Answer[WebhookSubscription]:
    subscription = record.subscription
    etag = etag_header(subscription.subscription_id, subscription.version)
    return Answer(shown_subscription(subscription, record.health), (etag,))


def _with_secret(subscription: Subscription) -> WebhookSubscription:
    return shown_subscription(subscription, HEALTHY, with_secret=True)
