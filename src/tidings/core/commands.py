"""What the scheduler asks of those who can act: requests to send, rows to read, rows to settle."""

import msgspec

from tidings.core.delivery import Delivery
from tidings.core.subscription import Subscription


class Send(msgspec.Struct, frozen=True, gc=False):
    """Make one attempt now. The slot is taken until `Scheduler.attempt_finished`."""

    delivery: Delivery
    subscription: Subscription


class ReadPage(msgspec.Struct, frozen=True):
    """Read rows of an endpoint that is behind; answer with `Scheduler.page_read`.

    `newest_seq` is the newest row that was told of before: the page looks at least as far.
    """

    subscription_id: str
    after_seq: int
    limit: int
    reading: int
    newest_seq: int


class ReadDueOfSubscription(msgspec.Struct, frozen=True):
    """Read due rows that found no place; answer with `Scheduler.due_of_subscription_read`."""

    subscription_id: str
    until_ms: int
    limit: int
    reading: int


class ReadDueWindow(msgspec.Struct, frozen=True):
    """Read the retries of the next minute; answer with `Scheduler.due_window_read`.

    Only those of our shards, where there are others.
    """

    after: tuple[int, int]
    until_ms: int
    limit: int
    reading: int
    shards: tuple[int, ...] | None = None


class Settle(msgspec.Struct, frozen=True):
    """End the rows of a subscription that was disabled or deleted."""

    subscription_id: str


class LoadSubscription(msgspec.Struct, frozen=True):
    """Load a subscription that rows speak of but nobody has told us about."""

    subscription_id: str


Command = ReadPage | ReadDueOfSubscription | ReadDueWindow | Settle | LoadSubscription
