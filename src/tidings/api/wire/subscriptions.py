"""Webhook subscriptions on the wire."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api.wire.base import (
    Body,
    EventType,
    JsonObject,
    OwnerId,
    Page,
    Patterns,
    Secret,
    Shown,
    ShownMoment,
    TenantBody,
    moment_or_null,
)
from tidings.api.wire.retry_policies import (
    RetryPolicyBody,
    RetryPolicyForm,
    RetryPolicyPatch,
    retry_policy_body,
    retry_policy_of,
)
from tidings.core import limits
from tidings.core.health import Health, HealthState
from tidings.core.merge_patch import NothingToRemove, merge_patch, merge_patch_text
from tidings.core.payload import PayloadFormat
from tidings.core.refusals import Fault, ValidationFailed
from tidings.core.retry import DEFAULT_RETRY_POLICY
from tidings.core.subscription import DisabledReason, SigningSecret, Status, Subscription
from tidings.core.timestamp import format_timestamp
from tidings.operations.signing_secrets import Rotated
from tidings.operations.wish import Wish
from tidings.signing import encode_key, key_of_secret

CallbackUrl = Annotated[
    str,
    Meta(
        max_length=limits.CALLBACK_URL_LENGTH_MAX,
        description="Where events are sent. Neither creating nor changing a subscription calls it.",
        examples=["https://client.example.com/webhooks/order-shipped"],
        extra_json_schema={"minLength": 1},
    ),
]
_Description = Annotated[str, Meta(max_length=limits.DESCRIPTION_LENGTH_MAX)]
_HeaderName = Annotated[str, Meta(max_length=limits.CUSTOM_HEADER_NAME_LENGTH_MAX)]
_HeaderValue = Annotated[str, Meta(max_length=limits.CUSTOM_HEADER_VALUE_LENGTH_MAX)]
_HEADERS = Meta(
    max_length=limits.CUSTOM_HEADERS_MAX,
    description="Sent along with every request, and never shown again.",
)
_MetadataName = Annotated[str, Meta(min_length=1, max_length=limits.METADATA_KEY_LENGTH_MAX)]
_MetadataValue = Annotated[str, Meta(max_length=limits.METADATA_VALUE_LENGTH_MAX)]
_METADATA = Meta(
    max_length=limits.METADATA_MEMBERS_MAX, description="The subscriber's own notes; never sent."
)
_Rate = Annotated[
    float,
    Meta(
        ge=limits.RATE_PER_SECOND_MIN,
        le=limits.RATE_PER_SECOND_MAX,
        description="At most so many requests; null for no limit.",
    ),
]
_Timeout = Annotated[
    int,
    Meta(
        ge=limits.TIMEOUT_SECONDS_MIN,
        le=limits.TIMEOUT_SECONDS_MAX,
        description="How long an attempt may take in all.",
    ),
]
_FILTER = Meta(
    description="What an event's `data` must hold: paths with values or operators ($in, $gt, $gte, "
    "$lt, $lte, $prefix, $suffix, $contains, $exists, $not, $or, $and).",
    examples=[{"total": {"$gte": 100}, "customer.country": "DE"}],
    extra_json_schema={"type": ["object", "null"]},
)
_Filter = Annotated[msgspec.Raw, _FILTER]
_PayloadFormat = Annotated[
    PayloadFormat,
    Meta(
        description="`thin`: with a `dataUrl` instead of the data. `cloudevents`: CloudEvents 1.0 "
        "in structured mode."
    ),
]
_ThinAboveBytes = Annotated[
    int,
    Meta(
        ge=0,
        le=limits.THIN_ABOVE_BYTES_MAX,
        description="Events whose `tidings` body is larger are sent with an address instead of "
        "their data; null for never.",
    ),
]
_DEFAULT_POLICY = retry_policy_body(DEFAULT_RETRY_POLICY)


_ShownStatus = Annotated[
    str,
    Meta(extra_json_schema={"enum": [one.value for one in Status if one is not Status.DELETED]}),
]


class CreateWebhookSubscriptionRequest(Body):
    """A wish for events. What is left out, or null, gets its default."""

    event_type: Patterns
    callback_url: CallbackUrl
    secret: Secret | None = None
    description: _Description | None = None
    filter: _Filter | UnsetType = UNSET
    headers: Annotated[dict[_HeaderName, _HeaderValue], _HEADERS] | None = None
    payload_format: _PayloadFormat | None = None
    thin_above_bytes: _ThinAboveBytes | None = None
    ordering_enabled: bool | None = None
    retry_policy: RetryPolicyForm | None = None
    rate_limit_per_second: _Rate | None = None
    timeout_seconds: _Timeout | None = None
    metadata: Annotated[dict[_MetadataName, _MetadataValue], _METADATA] | None = None
    tenant_id: Annotated[
        OwnerId | None,
        Meta(
            description="Whose it is, for a global key: `default` unless named. `*` is the "
            "operator's, with patterns of `tidings.…` alone: it gets those events of all tenants."
        ),
    ] = None


class PatchWebhookSubscriptionRequest(Body):
    """A merge patch (RFC 7396): what is left out stays, `null` restores the default.

    Another `callbackUrl` drops the custom headers unless they are given again, and must be verified
    where endpoints have to prove that they want events.
    """

    event_type: Patterns | UnsetType = UNSET
    callback_url: CallbackUrl | UnsetType = UNSET
    description: _Description | UnsetType | None = UNSET
    filter: _Filter | UnsetType = UNSET
    headers: Annotated[dict[_HeaderName, _HeaderValue | None], _HEADERS] | UnsetType | None = UNSET
    payload_format: _PayloadFormat | UnsetType | None = UNSET
    thin_above_bytes: _ThinAboveBytes | UnsetType | None = UNSET
    ordering_enabled: bool | UnsetType | None = UNSET
    retry_policy: RetryPolicyPatch | UnsetType | None = UNSET
    rate_limit_per_second: _Rate | UnsetType | None = UNSET
    timeout_seconds: _Timeout | UnsetType | None = UNSET
    metadata: (
        Annotated[dict[_MetadataName, _MetadataValue | None], _METADATA] | UnsetType | None
    ) = UNSET


class RotateSecretRequest(TenantBody):
    """A new secret, and how long the ones before it still sign."""

    secret: Secret | None = None
    overlap_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=limits.SECRET_OVERLAP_SECONDS_MAX,
            description="0 revokes all previous secrets at once.",
        ),
    ] = limits.SECRET_OVERLAP_SECONDS_DEFAULT


class SendTestRequest(TenantBody):
    """What the test event says; `tidings.test` without data unless told."""

    event_type: Annotated[
        EventType | None,
        Meta(description="`tidings.test`, or an event type that may be published."),
    ] = None
    data: JsonObject | UnsetType = UNSET


class TryFilterRequest(TenantBody, kw_only=True):
    """A filter, and the data of an event to ask it about."""

    filter: Annotated[msgspec.Raw, _FILTER]
    data: JsonObject


class FilterAnswer(Shown):
    """Whether an event with these data would reach a subscription with this filter."""

    matches: bool


class WebhookSubscription(Shown, kw_only=True):
    """A subscription. Its secret stands only in the answer to its creation."""

    subscription_id: str
    tenant_id: str
    event_type: str
    callback_url: str
    secret: str | UnsetType = UNSET
    standard_webhooks_secret: (
        Annotated[str, Meta(description="The secret as every Standard Webhooks library takes it.")]
        | UnsetType
    ) = UNSET
    status: _ShownStatus
    disabled_reason: DisabledReason | None
    health: HealthState
    description: str | None
    filter: Annotated[msgspec.Raw, Meta(extra_json_schema={"type": ["object", "null"]})]
    header_names: list[str]
    payload_format: PayloadFormat
    thin_above_bytes: int | None
    ordering_enabled: bool
    retry_policy: RetryPolicyBody
    rate_limit_per_second: float | None
    timeout_seconds: int
    metadata: dict[str, str]
    verified_at: Annotated[
        ShownMoment | None,
        Meta(description="When the endpoint at this `callbackUrl` proved that it wants events."),
    ]
    created_at: ShownMoment
    updated_at: ShownMoment


class WebhookSubscriptionPage(Page[WebhookSubscription]):
    """Subscriptions, newest first."""


class ShownSecret(Shown):
    """A secret that signs."""

    secret: str
    standard_webhooks_secret: str
    created_at: ShownMoment
    expires_at: ShownMoment | None


class ShownSecrets(Shown):
    """The secrets that sign at this moment, newest first."""

    secrets: list[ShownSecret]


class RotatedSecret(Shown):
    """The new secret, and when the previous ones stop signing."""

    secret: str
    standard_webhooks_secret: str
    previous_expire_at: ShownMoment


def wish_of_request(body: CreateWebhookSubscriptionRequest) -> Wish:
    """What the subscriber asks for. Raises `ValidationFailed`."""
    return Wish(
        event_type=body.event_type,
        callback_url=body.callback_url,
        description=body.description,
        content_filter=_filter_text(body.filter),
        headers=body.headers or {},
        ordering_enabled=body.ordering_enabled or False,
        retry_policy=retry_policy_of(body.retry_policy or _DEFAULT_POLICY),
        rate_limit_per_second=body.rate_limit_per_second,
        timeout_seconds=body.timeout_seconds or limits.TIMEOUT_SECONDS_DEFAULT,
        payload_format=body.payload_format or PayloadFormat.TIDINGS,
        thin_above_bytes=body.thin_above_bytes,
        metadata=body.metadata or {},
    )


def reworded(wish: Wish, patch: PatchWebhookSubscriptionRequest) -> Wish:
    """The wish as a merge patch would have it.

    The filter is merged as text, because its numbers must not change. Raises `ValidationFailed`.
    """
    present = msgspec.to_builtins(_request_of(wish))
    changes = msgspec.to_builtins(msgspec.structs.replace(patch, filter=UNSET))
    if changes.get("callbackUrl", wish.callback_url) != wish.callback_url:
        # The headers may hold credentials of the receiver that the subscription leaves.
        present["headers"] = {}
    policy = changes.get("retryPolicy")
    if policy is not None and policy.keys().isdisjoint(present["retryPolicy"]):
        present["retryPolicy"] = {}
    merged = merge_patch(present, changes)
    request = msgspec.convert(merged, CreateWebhookSubscriptionRequest)
    request.filter = _merged_filter(wish.content_filter, patch.filter)
    return wish_of_request(request)


def _merged_filter(present: str | None, patch: msgspec.Raw | UnsetType) -> msgspec.Raw:
    before = (present or "null").encode()
    if patch is UNSET:
        return msgspec.Raw(before)
    try:
        return msgspec.Raw(merge_patch_text(before, bytes(patch)))
    except NothingToRemove as fault:
        why = (
            "a merge patch removes what is null, and it is not there; for null write [null] at $in"
        )
        raise ValidationFailed(
            "the patch is not valid", faults=[Fault(f"/filter{fault.pointer}", why)]
        ) from None


def _filter_text(given: msgspec.Raw | UnsetType) -> str | None:
    """A filter as it was given; None where there is none."""
    text = "null" if given is UNSET else bytes(given).decode()
    return None if text == "null" else text


def shown_subscription(
    subscription: Subscription, health: Health, *, with_secret: bool = False
) -> WebhookSubscription:
    """The subscription as it is answered."""
    secret = subscription.secrets[0].secret if with_secret else None
    assert subscription.status is not Status.DELETED
    return WebhookSubscription(
        subscription_id=subscription.subscription_id,
        tenant_id=subscription.tenant_id,
        event_type=subscription.event_type,
        callback_url=subscription.callback_url,
        secret=UNSET if secret is None else secret,
        standard_webhooks_secret=UNSET if secret is None else _standard(secret),
        status=subscription.status.value,
        disabled_reason=subscription.disabled_reason,
        health=health.state,
        description=subscription.description,
        filter=msgspec.Raw((subscription.content_filter or "null").encode()),
        header_names=[name for name, _ in subscription.headers],
        payload_format=subscription.payload_format,
        thin_above_bytes=subscription.thin_above_bytes,
        ordering_enabled=subscription.ordering_enabled,
        retry_policy=retry_policy_body(subscription.retry_policy),
        rate_limit_per_second=subscription.rate_limit_per_second,
        timeout_seconds=subscription.timeout_seconds,
        metadata=dict(subscription.metadata),
        verified_at=moment_or_null(subscription.verified_at_ms),
        created_at=format_timestamp(subscription.created_at_ms),
        updated_at=format_timestamp(subscription.updated_at_ms),
    )


def shown_secret(secret: SigningSecret) -> ShownSecret:
    """A secret as it is answered to who may read it."""
    return ShownSecret(
        secret=secret.secret,
        standard_webhooks_secret=_standard(secret.secret),
        created_at=format_timestamp(secret.created_at_ms),
        expires_at=moment_or_null(secret.expires_at_ms),
    )


def shown_rotation(rotated: Rotated) -> RotatedSecret:
    """The answer to a rotation."""
    return RotatedSecret(
        secret=rotated.secret,
        standard_webhooks_secret=_standard(rotated.secret),
        previous_expire_at=format_timestamp(rotated.previous_expire_at_ms),
    )


def _request_of(wish: Wish) -> CreateWebhookSubscriptionRequest:
    """The request that would create a subscription with this wish."""
    return CreateWebhookSubscriptionRequest(
        event_type=wish.event_type,
        callback_url=wish.callback_url,
        description=wish.description,
        headers=dict(wish.headers),
        ordering_enabled=wish.ordering_enabled,
        retry_policy=retry_policy_body(wish.retry_policy),
        rate_limit_per_second=wish.rate_limit_per_second,
        timeout_seconds=wish.timeout_seconds,
        payload_format=wish.payload_format,
        thin_above_bytes=wish.thin_above_bytes,
        metadata=dict(wish.metadata),
    )


def _standard(secret: str) -> str:
    return encode_key(key_of_secret(secret))
