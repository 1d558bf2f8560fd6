"""How many unfinished deliveries each tenant has, without counting them at each publish."""

from collections.abc import Callable, Iterable
from typing import Final

from tidings.core import limits
from tidings.core.delivery import Delivery
from tidings.storage.sql.database import Database, fetch_one

_COUNTED_SECONDS: Final = 1.0


class Backlog:
    """The rows in the queue by tenant: counted when first asked for, then kept along.

    Whoever inserts or deletes rows notes it here at once. Nothing of it is stored, and whenever a
    write or a transaction fails, what it touched is forgotten and counted anew; so it cannot differ
    from the table. Where other processes write as well, `seconds` is a clock: they are counted
    anew after a second.
    """

    def __init__(self, db: Database, *, seconds: Callable[[], float] | None = None) -> None:
        self._db = db
        self._seconds = seconds
        self._counted_at = 0.0
        self._counts: dict[str, int] = {}
        self._touched: set[str] = set()

    def of(self, tenant_id: str) -> int:
        """How many a tenant has, within the present transaction."""
        if self._seconds is not None and self._seconds() - self._counted_at > _COUNTED_SECONDS:
            self._counts.clear()
            self._counted_at = self._seconds()
        count = self._counts.get(tenant_id)
        if count is None:
            if len(self._counts) >= limits.BACKLOGS_COUNTED_MAX:
                self._counts.clear()
            count = int(
                fetch_one(
                    self._db, "SELECT count(*) FROM delivery WHERE tenant_id = ?", (tenant_id,)
                )[0]
            )
            self._counts[tenant_id] = count
        return count

    def inserted(self, rows: Iterable[Delivery]) -> None:
        """Note rows that were put into the queue."""
        self._note(rows, 1)

    def removed(self, rows: Iterable[Delivery]) -> None:
        """Note rows that have left the queue."""
        self._note(rows, -1)

    def keep(self) -> None:
        """The write stands."""
        self._touched.clear()

    def undo(self) -> None:
        """The write is taken back."""
        for tenant_id in self._touched:
            self._counts.pop(tenant_id, None)
        self._touched.clear()

    def forget(self) -> None:
        """The transaction is taken back."""
        self._counts.clear()
        self._touched.clear()

    def _note(self, rows: Iterable[Delivery], change: int) -> None:
        for row in rows:
            self._touched.add(row.tenant_id)
            count = self._counts.get(row.tenant_id)
            if count is not None:
                self._counts[row.tenant_id] = count + change
