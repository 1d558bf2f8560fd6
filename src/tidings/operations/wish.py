"""What a subscriber may say about a subscription, when it is created and whenever it is changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Final

from tidings.core import limits
from tidings.core.addresses import AddressRules, parse_callback_url
from tidings.core.custom_headers import custom_header_faults
from tidings.core.pattern import patterns_fault
from tidings.core.payload import PayloadFormat
from tidings.core.refusals import Fault, ValidationFailed
from tidings.core.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from tidings.core.subscription import Subscription
from tidings.operations.filtering import filter_faults


@dataclass(frozen=True, slots=True)
class Wish:
    """The part of a subscription that is the subscriber's to choose, but for the secret."""

    event_type: str
    callback_url: str
    description: str | None = None
    content_filter: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    ordering_enabled: bool = False
    retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY
    rate_limit_per_second: float | None = None
    timeout_seconds: int = limits.TIMEOUT_SECONDS_DEFAULT
    payload_format: PayloadFormat = PayloadFormat.TIDINGS
    thin_above_bytes: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def check(self, rules: AddressRules, *, before: "Wish | None" = None) -> None:
        """Raise `ValidationFailed` or `CallbackUrlRefused` for what is not allowed.

        A callback URL that stays as it was is not judged again: rules that were tightened since
        are for the connection to enforce, and must not stand in the way of other changes.
        """
        faults = custom_header_faults(self.headers)
        patterns = patterns_fault(self.event_type)
        if patterns is not None:
            faults = [Fault("/eventType", patterns), *faults]
        if self.content_filter is not None:
            faults += filter_faults(self.content_filter)
        if faults:
            raise ValidationFailed("the subscription is not valid", faults=faults)
        if before is None or before.callback_url != self.callback_url:
            parse_callback_url(self.callback_url, rules)

    def applied_to(self, subscription: Subscription) -> Subscription:
        """The subscription as this wish would have it."""
        chosen = {name: getattr(self, name) for name in _FIELDS}
        chosen["headers"] = tuple(self.headers.items())
        return replace(subscription, **chosen)


_FIELDS: Final = tuple(one.name for one in fields(Wish))


def wish_of(subscription: Subscription) -> Wish:
    """What the subscriber of a subscription has said."""
    chosen = {name: getattr(subscription, name) for name in _FIELDS}
    chosen["headers"] = dict(subscription.headers)
    return Wish(**chosen)
