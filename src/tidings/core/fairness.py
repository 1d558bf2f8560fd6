"""Whose turn it is: over tenants, then over a tenant's endpoints, by slot time used.

Every tenant and every endpoint has a clock that advances by the slot time it uses. The lowest clock
goes first, so one that holds slots for long waits the longer. Who comes back after a pause starts
from the present, and cannot claim the time it did not use (start-time fair queueing).
"""

import heapq
from dataclasses import dataclass, field


@dataclass(slots=True)
class Share:
    """A tenant or an endpoint, and the slot time it has used, in milliseconds."""

    name: str
    used_ms: float = 0.0


@dataclass(slots=True)
class _TenantTurn:
    share: Share
    endpoints: list[tuple[float, int, Share]] = field(default_factory=list)
    is_listed: bool = False


class FairQueue:
    """The endpoints that may send now. Each stands in it at most once; the caller sees to that."""

    def __init__(self) -> None:
        self._tenants: list[tuple[float, int, _TenantTurn]] = []
        self._turns: dict[str, _TenantTurn] = {}
        self._present_ms = 0.0
        self._count = 0

    def add(self, tenant: Share, endpoint: Share) -> None:
        """Let an endpoint of a tenant wait for its turn."""
        turn = self._turns.get(tenant.name)
        if turn is None:
            turn = self._turns[tenant.name] = _TenantTurn(tenant)
        self._count += 1
        if turn.endpoints:
            # Within a tenant the present is the clock of whoever goes next.
            endpoint.used_ms = max(endpoint.used_ms, turn.endpoints[0][0])
        heapq.heappush(turn.endpoints, (endpoint.used_ms, self._count, endpoint))
        if not turn.is_listed:
            tenant.used_ms = max(tenant.used_ms, self._present_ms)
            heapq.heappush(self._tenants, (tenant.used_ms, self._count, turn))
            turn.is_listed = True

    def first_used_ms(self) -> float | None:
        """The clock of the tenant whose turn is next; None when nobody waits."""
        self._settle_first()
        return self._tenants[0][0] if self._tenants else None

    def take(self) -> str | None:
        """Remove and name the endpoint whose turn it is."""
        self._settle_first()
        if not self._tenants:
            return None
        used_ms, _, turn = heapq.heappop(self._tenants)
        self._present_ms = max(self._present_ms, used_ms)
        _, _, endpoint = heapq.heappop(turn.endpoints)
        if turn.endpoints:
            self._count += 1
            heapq.heappush(self._tenants, (turn.share.used_ms, self._count, turn))
        else:
            turn.is_listed = False
            del self._turns[turn.share.name]
        return endpoint.name

    def _settle_first(self) -> None:
        """Put the tenant with the lowest clock first; clocks may have advanced since they came."""
        tenants = self._tenants
        while tenants and tenants[0][0] < tenants[0][2].share.used_ms:
            _, count, turn = tenants[0]
            heapq.heapreplace(tenants, (turn.share.used_ms, count, turn))
