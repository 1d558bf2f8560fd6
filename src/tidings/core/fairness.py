"""Whose turn it is: over tenants, then over a tenant's endpoints, by slot time used.

Every tenant and every endpoint has a clock that advances by the slot time it uses. The lowest clock
goes first, so one that holds slots for long waits the longer. Who comes back after a pause starts
from the present, and cannot claim the time it did not use (start-time fair queueing).
"""

import heapq
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Share:
    """A tenant or an endpoint, and the slot time it has used, in milliseconds.

    `present_ms` is how far the clocks of its members have come: of a tenant's endpoints, or of all
    tenants. `place` names the one place in which it waits; others were left.
    """

    name: str
    used_ms: float = 0.0
    present_ms: float = 0.0
    place: int = 0


@dataclass(slots=True, eq=False)
class _TenantTurn:
    share: Share
    endpoints: list[tuple[float, int, Share, int]] = field(default_factory=list)


class FairQueue:
    """The endpoints that may send now. Queues that share `everyone` share one present."""

    def __init__(self, everyone: Share) -> None:
        self._everyone = everyone
        self._tenants: list[tuple[float, int, _TenantTurn]] = []
        self._turns: dict[str, _TenantTurn] = {}
        self._count = 0

    def add(self, tenant: Share, endpoint: Share) -> None:
        """Let an endpoint of a tenant wait for its turn here, and nowhere else any more."""
        self._count += 1
        turn = self._turns.get(tenant.name)
        if turn is None:
            turn = self._turns[tenant.name] = _TenantTurn(tenant)
            tenant.used_ms = max(tenant.used_ms, self._everyone.present_ms)
            heapq.heappush(self._tenants, (tenant.used_ms, self._count, turn))
        endpoint.place += 1
        endpoint.used_ms = max(endpoint.used_ms, tenant.present_ms)
        heapq.heappush(turn.endpoints, (endpoint.used_ms, self._count, endpoint, endpoint.place))

    def first_used_ms(self) -> tuple[float, float] | None:
        """The clocks of the tenant and the endpoint whose turn is next; None when nobody waits."""
        if self._tenants:
            self._settle_first()
        if not self._tenants:
            return None
        used_ms, _, turn = self._tenants[0]
        return used_ms, turn.endpoints[0][0]

    def take(self) -> str | None:
        """Remove and name the endpoint whose turn it is."""
        self._settle_first()
        if not self._tenants:
            return None
        used_ms, _, turn = heapq.heappop(self._tenants)
        self._everyone.present_ms = max(self._everyone.present_ms, used_ms)
        used_ms, _, endpoint, _ = heapq.heappop(turn.endpoints)
        turn.share.present_ms = max(turn.share.present_ms, used_ms)
        if turn.endpoints:
            self._count += 1
            heapq.heappush(self._tenants, (turn.share.used_ms, self._count, turn))
        else:
            del self._turns[turn.share.name]
        return endpoint.name

    def _settle_first(self) -> None:
        """Put the tenant with the lowest clock first; clocks may have advanced since they came."""
        tenants = self._tenants
        while tenants:
            used_ms, count, turn = tenants[0]
            _settle_first_endpoint(turn.endpoints)
            if not turn.endpoints:
                heapq.heappop(tenants)
                del self._turns[turn.share.name]
            elif used_ms < turn.share.used_ms:
                heapq.heapreplace(tenants, (turn.share.used_ms, count, turn))
            else:
                return


def _settle_first_endpoint(endpoints: list[tuple[float, int, Share, int]]) -> None:
    """The same within a tenant, where some may have left for another queue."""
    while endpoints:
        used_ms, count, endpoint, place = endpoints[0]
        if place != endpoint.place:
            heapq.heappop(endpoints)
        elif used_ms < endpoint.used_ms:
            heapq.heapreplace(endpoints, (endpoint.used_ms, count, endpoint, place))
        else:
            return
