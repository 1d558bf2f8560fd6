"""What an operator looks up in a database, whichever it is: who changed what, keys, lost rows."""

from typing import Any, Final

import msgspec

from tidings.core.identifier import seq_drawn_at_ms
from tidings.core.timestamp import format_timestamp
from tidings.storage.sql.database import Database, fetch_all, fetch_one

_KEY_MOMENTS: Final = ("createdAt", "expiresAt", "lastUsedAt")


def lost_rows(db: Database) -> list[str]:
    """What is wrong with what the tables hold; nothing when they fit together."""
    (orphans,) = fetch_one(
        db,
        "SELECT count(*) FROM delivery d"
        " WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.seq = d.event_seq)",
    )
    return [f"{orphans} unfinished deliveries have lost their event"] if orphans else []


def audit(db: Database, *, tenant_id: str | None, limit: int) -> list[dict[str, Any]]:
    """The newest audit records as JSON shows them, newest first; `tenant_id` None means all."""
    rows = fetch_all(
        db,
        "SELECT seq, by_key_id, action, tenant_id, object_id, before, after FROM audit_record"
        " WHERE ?1 IS NULL OR tenant_id = ?1 ORDER BY seq DESC LIMIT ?2",
        (tenant_id, limit),
    )
    return [
        {
            "at": format_timestamp(seq_drawn_at_ms(seq)),
            "byKeyId": by or None,
            "action": action,
            "tenantId": tenant,
            "objectId": object_id,
            "before": _members(before),
            "after": _members(after),
        }
        for seq, by, action, tenant, object_id, before, after in rows
    ]


def keys(db: Database) -> list[dict[str, Any]]:
    """All API keys with the moment at which each was last used, newest first."""
    rows = fetch_all(
        db,
        "SELECT key_id, name, scopes, tenant_id, created_at_ms, expires_at_ms, last_used_at_ms"
        " FROM api_key ORDER BY key_id DESC",
    )
    return [
        {
            "keyId": key_id,
            "name": name,
            "scopes": msgspec.json.decode(scopes),
            "tenantId": tenant_id,
            **{
                member: None if at_ms is None else format_timestamp(at_ms)
                for member, at_ms in zip(_KEY_MOMENTS, moments, strict=True)
            },
        }
        for key_id, name, scopes, tenant_id, *moments in rows
    ]


def _members(text: str | None) -> dict[str, Any] | None:
    """The members of an object in an audit record, spelled as JSON spells them elsewhere."""
    if text is None:
        return None
    return {_camel(name): value for name, value in msgspec.json.decode(text).items()}


def _camel(name: str) -> str:
    first, *more = name.split("_")
    return first + "".join(word.capitalize() for word in more)
