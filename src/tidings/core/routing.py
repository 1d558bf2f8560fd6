"""Which subscriptions want an event: an index that answers without asking each of them.

Content filters are asked last, only of subscriptions that have one and whose patterns match.

Patterns without a star are found by a look-up; the others in a tree of segments, whose walk costs
as much as the event type has segments, however many subscriptions do not match.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from tidings.core.content_filter import ContentFilter, EventData, FilterOutcome
from tidings.core.filter_grammar import content_filter
from tidings.core.grammar import OPERATOR
from tidings.core.pattern import RESERVED_SEGMENT, is_reserved, parsed_patterns
from tidings.core.subscription import Subscription


class _Node:
    """One segment of the pattern tree: who ends here, who ends here with an open end."""

    __slots__ = ("children", "ending", "open_ended")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.ending: set[str] = set()
        self.open_ended: set[str] = set()

    def is_bare(self) -> bool:
        return not (self.children or self.ending or self.open_ended)


class _TenantRoutes:
    """The patterns of one tenant's subscriptions."""

    __slots__ = ("count", "exact", "root")

    def __init__(self) -> None:
        self.count = 0
        self.exact: dict[str, set[str]] = {}
        self.root = _Node()

    def add(self, patterns_text: str, subscription_id: str) -> None:
        self.count += 1
        for pattern in parsed_patterns(patterns_text):
            if "*" not in pattern:
                self.exact.setdefault(".".join(pattern), set()).add(subscription_id)
                continue
            path = self._path(pattern)
            (path[-1].open_ended if pattern[-1] == "*" else path[-1].ending).add(subscription_id)

    def remove(self, patterns_text: str, subscription_id: str) -> None:
        self.count -= 1
        for pattern in parsed_patterns(patterns_text):
            if "*" not in pattern:
                event_type = ".".join(pattern)
                wanting = self.exact.get(event_type, set())
                wanting.discard(subscription_id)
                if not wanting:
                    self.exact.pop(event_type, None)
                continue
            path = self._path(pattern)
            path[-1].open_ended.discard(subscription_id)
            path[-1].ending.discard(subscription_id)
            for parent, segment, node in reversed(list(zip(path, pattern, path[1:], strict=False))):
                if node.is_bare():
                    parent.children.pop(segment, None)

    def _path(self, pattern: tuple[str, ...]) -> list[_Node]:
        """The nodes from the root to the pattern's last segment (its last but one if open)."""
        node = self.root
        path = [node]
        for segment in pattern[:-1] if pattern[-1] == "*" else pattern:
            node = node.children.setdefault(segment, _Node())
            path.append(node)
        return path

    def wanting(self, event_type: str) -> set[str]:
        found = set(self.exact.get(event_type, ()))
        segments = event_type.split(".")
        nodes = [self.root]
        for depth, segment in enumerate(segments):
            following: list[_Node] = []
            for node in nodes:
                # The root's open end and star would let `*` reach the reserved event types.
                literal_only = depth == 0 and segment == RESERVED_SEGMENT
                if not literal_only:
                    found |= node.open_ended
                    star = node.children.get("*")
                    if star is not None:
                        following.append(star)
                child = node.children.get(segment)
                if child is not None:
                    following.append(child)
            nodes = following
            if not nodes:
                return found
        for node in nodes:
            found |= node.ending
        return found


class Routing:
    """All subscriptions that take new events, by tenant and pattern. Mutable; no locking."""

    def __init__(self, subscriptions: Iterable[Subscription] = ()) -> None:
        self._tenants: dict[str, _TenantRoutes] = {}
        self._known: dict[str, Subscription] = {}
        self._filters: dict[str, ContentFilter] = {}
        for subscription in subscriptions:
            self.put(subscription)

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._known.values())

    def get(self, subscription_id: str) -> Subscription | None:
        """A subscription that takes new events."""
        return self._known.get(subscription_id)

    def put(self, subscription: Subscription) -> None:
        """Take in a new or changed subscription; one that takes no events is left out."""
        old = self._known.get(subscription.subscription_id)
        if old is not None and (
            old.event_type != subscription.event_type or not subscription.takes_events
        ):
            self.discard(old.subscription_id)
            old = None
        if not subscription.takes_events:
            return
        self._known[subscription.subscription_id] = subscription
        if subscription.content_filter is None:
            self._filters.pop(subscription.subscription_id, None)
        else:
            wanted = content_filter(subscription.content_filter)
            self._filters[subscription.subscription_id] = wanted
        if old is None:
            routes = self._tenants.setdefault(subscription.tenant_id, _TenantRoutes())
            routes.add(subscription.event_type, subscription.subscription_id)

    def discard(self, subscription_id: str) -> None:
        """Forget a subscription; unknown ones are no fault."""
        old = self._known.pop(subscription_id, None)
        if old is None:
            return
        self._filters.pop(subscription_id, None)
        routes = self._tenants[old.tenant_id]
        routes.remove(old.event_type, subscription_id)
        if not routes.count:
            del self._tenants[old.tenant_id]

    def count(self, tenant_id: str) -> int:
        """How many subscriptions of a tenant take new events."""
        routes = self._tenants.get(tenant_id)
        return 0 if routes is None else routes.count

    def wanting(
        self,
        tenant_id: str,
        event_type: str,
        data: EventData,
        outcomes: Counter[FilterOutcome] | None = None,
    ) -> list[Subscription]:
        """The subscriptions that get this event, in the order of their ids.

        What their filters said is counted in `outcomes`. Those of the operator get our own events
        of every tenant.
        """
        routes = self._tenants.get(tenant_id)
        found = set() if routes is None else routes.wanting(event_type)
        if is_reserved(event_type) and OPERATOR in self._tenants:
            found |= self._tenants[OPERATOR].wanting(event_type)
        if self._filters and not self._filters.keys().isdisjoint(found):
            passing = [one for one in sorted(found) if self._passes(one, data, outcomes)]
            return [self._known[subscription_id] for subscription_id in passing]
        if len(found) == 1:
            return [self._known[next(iter(found))]]
        return [self._known[subscription_id] for subscription_id in sorted(found)]

    def _passes(
        self, subscription_id: str, data: EventData, outcomes: Counter[FilterOutcome] | None
    ) -> bool:
        wanted = self._filters.get(subscription_id)
        if wanted is None:
            return True
        outcome = data.outcome(wanted)
        if outcomes is not None:
            outcomes[outcome] += 1
        return outcome is FilterOutcome.MATCH
