"""Reading the data of an event: with a key, or at the address that a thin delivery holds."""

from typing import Final

from tidings.core.event import Event
from tidings.core.identifier import seq_drawn_at_ms
from tidings.core.payload import Payloads
from tidings.core.refusals import NotFound
from tidings.ports.clock import Clock
from tidings.ports.store import Store

_DAY_MS: Final = 24 * 3_600_000


class EventDataReading:
    """Finds the data of events, until they are erased or their retention ends."""

    def __init__(
        self, store: Store, clock: Clock, payloads: Payloads, *, retention_days: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._payloads = payloads
        self._retention_ms = retention_days * _DAY_MS

    async def read(self, tenant_id: str, event_id: str) -> bytes:
        """The data of an event, as they were published. Raises `NotFound`, also once erased."""
        return self._data(await self._store.get_event(tenant_id, event_id))

    async def read_signed(self, tenant_id: str, event_id: str, signature: str) -> bytes:
        """The same for an address that we signed.

        Raises `NotFound` for everything else, so that nobody learns which events there are.
        """
        seq = self._payloads.signed_seq(signature, tenant_id, event_id)
        if seq is None:
            raise NotFound("there is no such event")
        event = await self._store.get_event(tenant_id, event_id)
        if event.seq != seq:
            raise NotFound("there is no such event")
        return self._data(event)

    def _data(self, event: Event) -> bytes:
        ends_at_ms = seq_drawn_at_ms(event.seq) + self._retention_ms
        data = event.data
        if data is None or self._clock.now_ms() >= ends_at_ms:
            # The words are those of an event that is not there.
            raise NotFound("there is no such event")
        return data
