"""What is in memory: subscriptions, their endpoints, and the rows that are not only in the table.

A row is known by its `seq`; `known` holds the present version of each row in memory, and a queue
entry whose row is no longer the present version is passed over. That is how a row is taken out of
the middle of a queue.

Where the table is shared with other workers, `tenures` says which shards are ours, and nothing of
any other gets into memory. `None` says that everything is ours.
"""

from collections import defaultdict

import msgspec

from tidings.core import limits
from tidings.core.commands import Command, LoadSubscription, Settle
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint
from tidings.core.fairness import Share
from tidings.core.finished import FinishedRows
from tidings.core.ownership import shard_of
from tidings.core.subscription import Subscription


class Tenure(msgspec.Struct, frozen=True, gc=False):
    """Since when a shard is ours, and until when its ordered endpoints are silent.

    `reading` is the newest read that had begun before; what it saw may be older than what the last
    owner did.
    """

    began_ms: int
    silent_until_ms: int
    reading: int


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
        self.tenures: dict[int, Tenure] | None = None
        self.of_shard: defaultdict[int, set[str]] = defaultdict(set)
        self._tenants: dict[str, Share] = {}

    def put(self, subscription: Subscription) -> None:
        """Take in a subscription as it is now."""
        subscription_id = subscription.subscription_id
        self.subscriptions[subscription_id] = subscription
        if self.tenures is not None:
            self.of_shard[shard_of(subscription_id)].add(subscription_id)
        if subscription.is_unopened:
            self.unopened.add(subscription_id)
        else:
            self.unopened.discard(subscription_id)

    def remove(self, subscription_id: str) -> None:
        """Forget a subscription that is deleted, and of which nothing is left."""
        self.endpoints.pop(subscription_id, None)
        del self.subscriptions[subscription_id]
        if self.tenures is not None:
            self.of_shard[shard_of(subscription_id)].discard(subscription_id)

    def endpoint(self, subscription_id: str, now_ms: int) -> Endpoint | None:
        """The endpoint of a subscription; None if it is not ours.

        None, and a command, if it may be ours but nobody has told us about it.
        """
        endpoint = self.endpoints.get(subscription_id)
        if endpoint is not None:
            return endpoint if endpoint.is_ours else None
        tenure = None
        if self.tenures is not None:
            tenure = self.tenures.get(shard_of(subscription_id))
            if tenure is None:
                return None
        subscription = self.subscriptions.get(subscription_id)
        if subscription is None:
            if subscription_id not in self.strangers:
                self.strangers.add(subscription_id)
                self.commands.append(LoadSubscription(subscription_id))
            return None
        endpoint = self.endpoints[subscription_id] = self._new_endpoint(
            subscription, tenure, now_ms
        )
        return endpoint

    def endpoint_of_read(self, subscription_id: str, reading: int, now_ms: int) -> Endpoint | None:
        """The same for rows that were read; None as well if the shard was not ours all the time."""
        if self.tenures is not None:
            tenure = self.tenures.get(shard_of(subscription_id))
            if tenure is None or reading <= tenure.reading:
                return None
        return self.endpoint(subscription_id, now_ms)

    def clock_put_back(self, by_ms: int, now_ms: int) -> None:
        """Do not wait for the clock to come back to where it was."""
        self.began_ms = min(self.began_ms, now_ms)
        tenures = self.tenures or {}
        for shard, tenure in tenures.items():
            began_ms = min(tenure.began_ms, now_ms)
            silent_until_ms = max(0, tenure.silent_until_ms - by_ms)
            tenures[shard] = Tenure(began_ms, silent_until_ms, tenure.reading)

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
                    endpoint.lanes.leave(delivery)
                    endpoint.spill(delivery)
            rows.clear()

    def settle(self, endpoint: Endpoint) -> None:
        """Forget the rows of a subscription that is over, and have them ended in the table."""
        self.drop_ready(endpoint)
        endpoint.caught_up = False
        endpoint.cursor_seq = 0
        endpoint.due_spilled = True
        self.commands.append(Settle(endpoint.subscription.subscription_id))

    def _new_endpoint(
        self, subscription: Subscription, tenure: Tenure | None, now_ms: int
    ) -> Endpoint:
        tenant = self._tenants.get(subscription.tenant_id)
        if tenant is None:
            tenant = self._tenants[subscription.tenant_id] = Share(subscription.tenant_id)
        endpoint = Endpoint(subscription, tenant, now_ms=now_ms)
        began_ms, created_before_ms = self.began_ms, self.began_ms
        if tenure is not None:
            # It may have been created by another clock.
            began_ms = tenure.began_ms
            created_before_ms = began_ms + limits.CLOCKS_APART_MS_MAX
            if subscription.ordering_enabled:
                endpoint.silent_until_ms = tenure.silent_until_ms
        if subscription.created_at_ms < created_before_ms:
            # What an earlier process sent last is not known.
            endpoint.set_rate(began_ms, starts_empty=True)
        return endpoint
