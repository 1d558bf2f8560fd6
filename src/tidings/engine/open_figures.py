"""The figures that are being counted at the moment, until their ten seconds are over.

What a commit recorded is counted here. When the span is over, its roll-ups are written in a results
transaction; what is not written yet can be asked for, so that statistics are never behind. A crash
loses the open span, no more.
"""

from tidings.core import limits
from tidings.core.delivery import DeliveryStatus
from tidings.core.roll_up import WHOLE_TENANT, Figures, RollUp, start_of
from tidings.ports.clock import Clock
from tidings.ports.store import Committed, Store

_Key = tuple[str, str]


class OpenFigures:
    """Counts by tenant and subscription. Its memory is bounded by the attempts of a span."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._writer = clock.now_ms()
        self._start_ms = 0
        self._open: dict[_Key, Figures] = {}
        self._closed: dict[tuple[_Key, int], RollUp] = {}

    def committed(self, changes: Committed) -> None:
        """Count what was recorded."""
        if not changes.recorded:
            return
        self._close_if_over()
        figures_of = self._figures_of
        for result, recorded in changes.recorded:
            delivery, attempt, ending = result.delivery, result.attempt, result.ending
            is_dead = (
                recorded.applied
                and ending is not None
                and ending.status is DeliveryStatus.DEAD_LETTERED
            )
            for subscription_id in (delivery.subscription_id, WHOLE_TENANT):
                figures = figures_of(delivery.tenant_id, subscription_id)
                figures.add_attempt(attempt.outcome, attempt.duration_ms)
                figures.dead_lettered += is_dead

    def unwritten(self, tenant_id: str, subscription_id: str | None) -> list[RollUp]:
        """What the store does not hold yet of a subscription, or of a whole tenant."""
        key = (tenant_id, subscription_id or WHOLE_TENANT)
        found = [one for (of, _), one in self._closed.items() if of == key]
        figures = self._open.get(key)
        if figures is not None:
            found.append(self._roll_up(key, figures))
        return found

    async def write_closed(self) -> None:
        """Write what is over. Raises `StoreUnavailable`; then it stays for the next time."""
        self._close_if_over()
        while self._closed:
            some = list(self._closed.items())[: limits.ROLL_UPS_AT_ONCE]
            await self._store.record_results((), roll_ups=[one for _, one in some])
            for key, _ in some:
                # Who writes at the same time writes the same, and may have been first.
                self._closed.pop(key, None)

    async def write_all(self) -> None:
        """Write everything, at the end of the process. Raises `StoreUnavailable`."""
        self._close()
        await self.write_closed()

    def _figures_of(self, tenant_id: str, subscription_id: str) -> Figures:
        figures = self._open.get((tenant_id, subscription_id))
        if figures is None:
            figures = self._open[tenant_id, subscription_id] = Figures()
        return figures

    def _close_if_over(self) -> None:
        # A clock that was put back leaves the span open until it has caught up.
        if start_of(self._clock.now_ms(), limits.ROLL_UP_SECONDS) > self._start_ms:
            self._close()

    def _close(self) -> None:
        for key, figures in self._open.items():
            self._closed[key, self._start_ms] = self._roll_up(key, figures)
        self._open = {}
        self._start_ms = start_of(self._clock.now_ms(), limits.ROLL_UP_SECONDS)

    def _roll_up(self, key: _Key, figures: Figures) -> RollUp:
        return RollUp(*key, limits.ROLL_UP_SECONDS, self._start_ms, figures, self._writer)
