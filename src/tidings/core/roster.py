"""What is in memory: subscriptions, their endpoints, and the rows that are not only in the table.

A row is known by its `seq`; `known` holds the present version of each row in memory, and a queue
entry whose row is no longer the present version is passed over. That is how a row is taken out of
the middle of a queue.
"""

from tidings.core.commands import Command, LoadSubscription
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint
from tidings.core.fairness import Share
from tidings.core.finished import FinishedRows
from tidings.core.subscription import Subscription


class Roster:
    """The scheduler's memory, and the commands that have come up."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, Subscription] = {}
        self.unopened: set[str] = set()
        self.endpoints: dict[str, Endpoint] = {}
        self.known: dict[int, Delivery] = {}
        self.finished = FinishedRows()
        self.strangers: set[str] = set()
        self.commands: list[Command] = []
        self.began_ms = 0
        self._tenants: dict[str, Share] = {}

    def put(self, subscription: Subscription) -> None:
        """Take in a subscription as it is now."""
        self.subscriptions[subscription.subscription_id] = subscription
        if subscription.is_unopened:
            self.unopened.add(subscription.subscription_id)
        else:
            self.unopened.discard(subscription.subscription_id)

    def endpoint(self, subscription_id: str, now_ms: int) -> Endpoint | None:
        """The endpoint of a subscription; None, and a command, if nobody has told us about it."""
        endpoint = self.endpoints.get(subscription_id)
        if endpoint is not None:
            return endpoint
        subscription = self.subscriptions.get(subscription_id)
        if subscription is None:
            if subscription_id not in self.strangers:
                self.strangers.add(subscription_id)
                self.commands.append(LoadSubscription(subscription_id))
            return None
        tenant = self._tenants.get(subscription.tenant_id)
        if tenant is None:
            tenant = self._tenants[subscription.tenant_id] = Share(subscription.tenant_id)
        endpoint = Endpoint(subscription, tenant, now_ms=now_ms)
        if subscription.created_at_ms < self.began_ms:
            # What an earlier process sent last is not known.
            endpoint.set_rate(self.began_ms, starts_empty=True)
        self.endpoints[subscription_id] = endpoint
        return endpoint

    def is_new(self, delivery: Delivery) -> bool:
        """Whether a row that was read is neither in memory nor ended meanwhile."""
        return delivery.seq not in self.known and not self.finished.is_stale(delivery)

    def is_present(self, delivery: Delivery) -> bool:
        """Whether this is the present version of a row in memory."""
        return self.known.get(delivery.seq) is delivery

    def make_ready(self, endpoint: Endpoint, delivery: Delivery) -> None:
        """Let a row wait for its turn with its endpoint."""
        self.known[delivery.seq] = delivery
        endpoint.add_ready(delivery)

    def drop_ready(self, endpoint: Endpoint) -> None:
        """Forget the rows that wait with an endpoint; the table still has them."""
        for rows in (endpoint.fresh, endpoint.again, endpoint.manual):
            for delivery in rows:
                if self.is_present(delivery):
                    del self.known[delivery.seq]
                    endpoint.lanes.release(delivery)
            rows.clear()
