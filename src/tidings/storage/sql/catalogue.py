"""The catalogue of event types in SQLite."""

from collections.abc import Callable
from typing import Any, Final

from tidings.core import limits
from tidings.core.audit import NOBODY, AuditRecord
from tidings.core.catalogue import CataloguedType, Described, Validation
from tidings.core.refusals import NotFound, QuotaExceeded
from tidings.ports.records import SchemaVersion
from tidings.storage.sql.audit import write_audit
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import Database, fetch_all, fetch_one, given, replacing
from tidings.storage.sql.rows import Row
from tidings.storage.sql.tenants import note_tenant
from tidings.storage.sql.transaction import Transaction

_COLUMNS: Final = (
    "tenant_id, event_type, description, schema, example, validation, deprecated, version,"
    " created_at_ms, updated_at_ms"
)
_ONE: Final = f"SELECT {_COLUMNS} FROM event_type WHERE tenant_id = ? AND event_type = ?"


class SqlCatalogue(SqlBase):
    """The part of the store port that keeps the catalogue."""

    async def load_checked_event_types(self) -> list[CataloguedType]:
        """See `CatalogueStore`."""
        return await self.read(load_checked_event_types)

    async def get_event_type(self, tenant_id: str, event_type: str) -> CataloguedType:
        """See `CatalogueStore`."""
        found = await self.read(lambda db: find_event_type(db, tenant_id, event_type))
        if found is None:
            raise NotFound("there is no such event type in the catalogue")
        return found

    async def list_schema_versions(self, tenant_id: str, event_type: str) -> list[SchemaVersion]:
        """See `CatalogueStore`."""
        sql = (
            "SELECT version, schema, created_at_ms FROM event_type_version"
            " WHERE tenant_id = ? AND event_type = ? ORDER BY version DESC"
        )
        rows = await self.read(lambda db: fetch_all(db, sql, (tenant_id, event_type)))
        return [SchemaVersion(*row) for row in rows]

    async def list_event_types(
        self, tenant_id: str | None, *, before: tuple[int, str, str] | None, limit: int
    ) -> list[CataloguedType]:
        """See `CatalogueStore`."""
        where, bindings = given(("tenant_id = ?", tenant_id))
        if before is not None:
            where += " AND (created_at_ms, tenant_id, event_type) < (?, ?, ?)"
            bindings += before
        sql = (
            f"SELECT {_COLUMNS} FROM event_type WHERE {where}"
            " ORDER BY created_at_ms DESC, tenant_id DESC, event_type DESC LIMIT ?"
        )
        rows = await self.read(lambda db: fetch_all(db, sql, (*bindings, limit)))
        return [_type_of(row) for row in rows]

    async def change_event_type(
        self,
        tenant_id: str,
        event_type: str,
        change: Callable[[CataloguedType | None], CataloguedType],
        *,
        quota: int,
        by: str = NOBODY,
    ) -> tuple[CataloguedType, bool]:
        """See `CatalogueStore`."""

        def write(tx: Transaction) -> tuple[CataloguedType, bool]:
            old = find_event_type(tx.db, tenant_id, event_type)
            new = change(old)
            if new is old:
                return new, False
            if old is None:
                _check_quota(tx.db, tenant_id, quota)
                note_tenant(tx, tenant_id, new.created_at_ms)
            _put(tx, old, new, by)
            return new, old is None

        return await self.write(write)

    async def delete_event_type(
        self, tenant_id: str, event_type: str, *, now_ms: int, by: str = NOBODY
    ) -> None:
        """See `CatalogueStore`."""

        def write(tx: Transaction) -> None:
            where = "WHERE tenant_id = ? AND event_type = ?"
            key = (tenant_id, event_type)
            if not fetch_all(tx.db, f"DELETE FROM event_type {where} RETURNING 1", key):
                raise NotFound("there is no such event type in the catalogue")
            tx.db.execute(f"DELETE FROM event_type_version {where}", key)
            tx.forgotten_event_types.append(key)
            write_audit(tx, AuditRecord("event_type.deleted", by, tenant_id, event_type), now_ms)

        await self.write(write)


def load_checked_event_types(db: Database) -> list[CataloguedType]:
    """Those by whose schemas published data are checked."""
    sql = f"SELECT {_COLUMNS} FROM event_type WHERE validation <> 'off'"
    return [_type_of(row) for row in fetch_all(db, sql)]


def find_event_type(db: Database, tenant_id: str, event_type: str) -> CataloguedType | None:
    """What the catalogue says about an event type, if anything."""
    row = fetch_one(db, _ONE, (tenant_id, event_type))
    return None if row is None else _type_of(row)


def _put(tx: Transaction, old: CataloguedType | None, new: CataloguedType, by: str) -> None:
    described = new.described
    key = (new.tenant_id, new.event_type)
    row = (
        *key,
        described.description,
        described.schema,
        described.example,
        described.validation,
        int(described.deprecated),
        new.version,
        new.created_at_ms,
        new.updated_at_ms,
    )
    tx.db.execute(
        f"INSERT INTO event_type ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)"
        + replacing("tenant_id, event_type", _COLUMNS),
        row,
    )
    if old is None or old.version != new.version:
        version = (*key, new.version, described.schema, new.updated_at_ms)
        tx.db.execute("INSERT INTO event_type_version VALUES (?,?,?,?,?)", version)
        tx.db.execute(
            "DELETE FROM event_type_version"
            " WHERE tenant_id = ? AND event_type = ? AND version <= ?",
            (*key, new.version - limits.EVENT_TYPE_VERSIONS_MAX),
        )
    tx.event_types.append(new)
    action = "event_type.created" if old is None else "event_type.updated"
    before = None if old is None else _told(old)
    record = AuditRecord(action, by, new.tenant_id, new.event_type, before, _told(new))
    write_audit(tx, record, new.updated_at_ms)


def _told(one: CataloguedType) -> dict[str, Any]:
    """What is put down of a change; the schemas are kept as versions."""
    return {
        "version": one.version,
        "validation": one.described.validation,
        "deprecated": one.described.deprecated,
    }


def _check_quota(db: Database, tenant_id: str, quota: int) -> None:
    row = fetch_one(db, "SELECT count(*) FROM event_type WHERE tenant_id = ?", (tenant_id,))
    assert row is not None
    if row[0] >= quota:
        raise QuotaExceeded(f"the tenant has described {row[0]} event types, the limit is {quota}")


def _type_of(row: Row) -> CataloguedType:
    described = Described(row[2], row[3], row[4], Validation(row[5]), bool(row[6]))
    return CataloguedType(row[0], row[1], described, *row[7:])
