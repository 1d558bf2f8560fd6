"""ETags of subscriptions, and ``If-Match`` against lost updates."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from tidings.core.refusals import PreconditionFailed
from tidings.core.subscription import Subscription
from tidings.operations.subscriptions import no_precondition

_TAG: Final = re.compile(r'\s*(W/)?("[\x21\x23-\x7e]*")\s*(?:,|$)')


def etag_of(subscription_id: str, version: int) -> str:
    """The strong ETag of a subscription: what it is, and in which version."""
    return f'"{subscription_id}.{version}"'


def etag_header(subscription_id: str, version: int) -> tuple[bytes, bytes]:
    """The header that tells the ETag."""
    return b"etag", etag_of(subscription_id, version).encode("ascii")


def precondition(headers: Mapping[bytes, bytes]) -> Callable[[Subscription], None]:
    """What ``If-Match`` asks for, as a check to run where the change is made."""
    value = headers.get(b"if-match")
    if value is None or value.strip() == b"*":
        return no_precondition
    # A weak tag never matches: it does not promise that nothing was changed.
    tags = {tag for weak, tag in _TAG.findall(value.decode("latin-1")) if not weak}

    def check(subscription: Subscription) -> None:
        if etag_of(subscription.subscription_id, subscription.version) not in tags:
            raise PreconditionFailed("the subscription was changed; read it again, then decide")

    return check
