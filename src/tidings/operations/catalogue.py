"""The catalogue of event types: describing them, and checking what is published by it."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tidings.core import limits
from tidings.core.catalogue import (
    FIRST_VERSION,
    CataloguedType,
    CheckOutcome,
    Described,
    Validation,
    changed_type,
    checked,
    described_faults,
)
from tidings.core.event_schema import event_schema
from tidings.core.grammar import DEFAULT_TENANT
from tidings.core.pattern import event_type_fault
from tidings.core.refusals import Fault, ValidationFailed
from tidings.ports.clock import Clock
from tidings.ports.records import SchemaVersion
from tidings.ports.store import Committed, Store

_LOG: Final = logging.getLogger(__name__)
OPEN_TENANT: Final = DEFAULT_TENANT
"""The tenant whose catalogue stands in the documents that everybody may read."""
_PAGE: Final = 200

Key = tuple[str, str]
"""A tenant and an event type."""
Data = tuple[str, str, bytes]
"""A tenant, an event type, and the data of an event."""


@dataclass(frozen=True, slots=True)
class History:
    """An event type with the schemas that it has had, newest first."""

    present: CataloguedType
    versions: Sequence[SchemaVersion]


def _count_nothing(_outcome: CheckOutcome) -> None:
    """Nobody counts."""


class Catalogue:
    """The verbs on event types. What is checked is held in memory, as the commits have it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        count: Callable[[CheckOutcome], None] = _count_nothing,
    ) -> None:
        self._store = store
        self._clock = clock
        self._count = count
        self._checked: dict[Key, Described] = {}
        self.revision = 0
        """Rises whenever the catalogue of the open tenant may have changed."""

    @property
    def is_checking(self) -> bool:
        """Whether the data of any event type are checked."""
        return bool(self._checked)

    async def load(self) -> None:
        """Read what is checked, and follow every change from then on."""
        self._store.on_commit(self.committed)
        for one in await self._store.load_checked_event_types():
            self._checked.setdefault((one.tenant_id, one.event_type), one.described)

    def committed(self, changes: Committed) -> None:
        """Follow a commit."""
        for one in changes.event_types:
            self._follow((one.tenant_id, one.event_type), one.described)
        for key in changes.forgotten_event_types:
            self._follow(key, None)

    def _follow(self, key: Key, described: Described | None) -> None:
        if key[0] == OPEN_TENANT:
            self.revision += 1
        if described is None or described.validation is Validation.OFF:
            self._checked.pop(key, None)
        else:
            self._checked[key] = described

    async def put(
        self,
        tenant_id: str,
        event_type: str,
        described: Described,
        *,
        is_forced: bool = False,
        by: str,
    ) -> tuple[CataloguedType, bool]:
        """Describe an event type; answers it, and whether it is new.

        Raises `ValidationFailed` for a bad name, schema or example, `InvalidState` for a schema
        that is not compatible with the present one unless it is forced, and `QuotaExceeded`.
        """
        why = event_type_fault(event_type)
        if why is not None:
            raise ValidationFailed(f"the event type is not valid: {why}")
        faults = described_faults(described)
        if faults:
            raise ValidationFailed("the event type is not valid", faults=faults)
        now_ms = self._clock.now_ms()

        def change(old: CataloguedType | None) -> CataloguedType:
            if old is not None:
                return changed_type(old, described, now_ms=now_ms, is_forced=is_forced)
            return CataloguedType(tenant_id, event_type, described, FIRST_VERSION, now_ms, now_ms)

        return await self._store.change_event_type(
            tenant_id, event_type, change, quota=limits.EVENT_TYPES_MAX, by=by
        )

    async def get(self, tenant_id: str, event_type: str) -> History:
        """An event type of the catalogue. Raises `NotFound`."""
        present = await self._store.get_event_type(tenant_id, event_type)
        return History(present, await self._store.list_schema_versions(tenant_id, event_type))

    async def list_types(
        self, tenant_id: str | None, *, before: tuple[int, str, str] | None, limit: int
    ) -> list[CataloguedType]:
        """Event types, newest first; `tenant_id` None means of all tenants."""
        return await self._store.list_event_types(tenant_id, before=before, limit=limit)

    async def list_open(self) -> list[CataloguedType]:
        """All event types that everybody may read of, in the order of their names."""
        found: list[CataloguedType] = []
        before = None
        while True:
            page = await self._store.list_event_types(OPEN_TENANT, before=before, limit=_PAGE)
            found += page
            if len(page) < _PAGE:
                return sorted(found, key=lambda one: one.event_type)
            last = page[-1]
            before = (last.created_at_ms, last.tenant_id, last.event_type)

    async def delete(self, tenant_id: str, event_type: str, *, by: str) -> None:
        """Take an event type out of the catalogue. Raises `NotFound`."""
        now_ms = self._clock.now_ms()
        await self._store.delete_event_type(tenant_id, event_type, now_ms=now_ms, by=by)

    async def faults(self, events: Sequence[Data]) -> list[tuple[Fault, ...]]:
        """For each event why its data keep it out; pointers begin at the event.

        What only deserves a warning is counted and logged here.
        """
        found: list[tuple[Fault, ...]] = []
        steps = 0
        for tenant_id, event_type, data in events:
            described = self._checked.get((tenant_id, event_type))
            if described is None or described.schema is None:
                found.append(())
                continue
            steps += event_schema(described.schema).steps(data)
            if steps > limits.SCHEMA_STEPS_AT_ONCE and len(found) > 0:
                steps = 0
                await asyncio.sleep(0)
            found.append(self._faults(tenant_id, event_type, described, data))
        return found

    def _faults(
        self, tenant_id: str, event_type: str, described: Described, data: bytes
    ) -> tuple[Fault, ...]:
        outcome, faults = checked(described, data)
        self._count(outcome)
        if outcome is CheckOutcome.REFUSED:
            return tuple(Fault(f"/data{one.pointer}", one.detail) for one in faults)
        if faults:
            _LOG.warning(
                "the data of an event do not fit their schema: %s",
                faults[0].detail,
                extra={
                    "tenant_id": tenant_id,
                    "event_type": event_type,
                    "pointer": f"/data{faults[0].pointer}",
                },
            )
        return ()
