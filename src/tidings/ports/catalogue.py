"""The part of the store that keeps what publishers say about their event types."""

from collections.abc import Callable
from typing import Protocol

from tidings.core.audit import NOBODY
from tidings.core.catalogue import CataloguedType
from tidings.ports.records import SchemaVersion


class CatalogueStore(Protocol):
    """What publishers say about their event types."""

    async def load_checked_event_types(self) -> list[CataloguedType]:
        """Those by whose schemas published data are checked."""
        ...

    async def get_event_type(self, tenant_id: str, event_type: str) -> CataloguedType:
        """Raises `NotFound`."""
        ...

    async def list_schema_versions(self, tenant_id: str, event_type: str) -> list[SchemaVersion]:
        """The schemas that an event type has had, newest first; a bounded number."""
        ...

    async def list_event_types(
        self, tenant_id: str | None, *, before: tuple[int, str, str] | None, limit: int
    ) -> list[CataloguedType]:
        """Newest first, those behind the moment of creation, tenant and event type of `before`."""
        ...

    async def change_event_type(
        self,
        tenant_id: str,
        event_type: str,
        change: Callable[[CataloguedType | None], CataloguedType],
        *,
        quota: int,
        by: str = NOBODY,
    ) -> tuple[CataloguedType, bool]:
        """Apply a pure function to an event type, None where there is none yet.

        Answers what it is then, and whether it is new. Returning the very same object changes
        nothing. Raises what `change` raises, and `QuotaExceeded` when the tenant has `quota` of
        them.
        """
        ...

    async def delete_event_type(
        self, tenant_id: str, event_type: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """Forget an event type with all its versions. Raises `NotFound`."""
        ...
