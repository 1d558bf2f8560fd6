"""Audit records in SQLite: written with what they tell of, in the same transaction."""

from collections.abc import Mapping

import msgspec

from tidings.core.audit import AuditRecord
from tidings.core.identifier import lowest_seq
from tidings.core.refusals import NotFound
from tidings.storage.sql.base import SqlBase
from tidings.storage.sql.database import fetch_all, fetch_one
from tidings.storage.sql.transaction import Transaction


def write_audit(tx: Transaction, record: AuditRecord, now_ms: int) -> None:
    """Put down a change that this transaction makes."""
    tx.db.execute(
        "INSERT INTO audit_record VALUES (?,?,?,?,?,?,?)",
        (
            tx.next_seq(now_ms),
            record.tenant_id,
            record.by,
            record.action,
            record.object_id,
            _text(record.before),
            _text(record.after),
        ),
    )
    tx.audited.append(record)


def _text(members: Mapping[str, object] | None) -> str | None:
    return None if members is None else msgspec.json.encode(members).decode()


class SqlAudit(SqlBase):
    """The part of the store port that puts down what leaves no other trace."""

    async def note_secrets_read(
        self, tenant_id: str, subscription_id: str, *, now_ms: int, by: str
    ) -> None:
        """See `ConfigurationStore`."""
        self.keep_reserve()

        def write(tx: Transaction) -> None:
            found = fetch_one(
                tx.db,
                "SELECT 1 FROM subscription WHERE subscription_id = ? AND tenant_id = ?"
                " AND status <> 'deleted'",
                (subscription_id, tenant_id),
            )
            if found is None:
                raise NotFound("there is no such subscription")
            record = AuditRecord("subscription.secrets_read", by, tenant_id, subscription_id)
            write_audit(tx, record, now_ms)

        await self.write(write)

    async def note_key_uses(self, used_at_ms: Mapping[str, int]) -> None:
        """See `ConfigurationStore`."""
        await self.write(
            lambda tx: tx.db.execute_many(
                "UPDATE api_key SET last_used_at_ms = column2 FROM (",
                list(used_at_ms.items()),
                ") AS used WHERE key_id = column1 AND coalesce(last_used_at_ms, 0) < column2",
                types="ti",
            )
        )

    async def delete_audit_records(self, *, recorded_before_ms: int, limit: int) -> int:
        """See `ConfigurationStore`."""

        def write(tx: Transaction) -> int:
            gone = fetch_all(
                tx.db,
                "DELETE FROM audit_record WHERE seq IN (SELECT seq FROM audit_record WHERE seq < ?"
                " ORDER BY seq LIMIT ?) RETURNING 1",
                (lowest_seq(recorded_before_ms), limit),
            )
            return len(gone)

        return await self.write(write)
