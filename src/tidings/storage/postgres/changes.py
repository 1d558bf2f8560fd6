"""What other processes have changed, as it stands now: read from the log of changes."""

from collections.abc import Container, Iterable
from enum import StrEnum
from typing import Final

from tidings.ports.records import SubscriptionRecord
from tidings.ports.store import Committed
from tidings.storage.sealing import Sealer
from tidings.storage.sql.catalogue import find_event_type, load_checked_event_types
from tidings.storage.sql.configuration import (
    find_api_key,
    load_api_keys,
    load_subscriptions,
)
from tidings.storage.sql.database import Database, Rows, fetch_all
from tidings.storage.sql.replays import find_replay, load_replays
from tidings.storage.sql.subscription_rows import SUBSCRIPTION_SELECT, SubscriptionRows

_CHANGES: Final = (
    "SELECT version, kind, tenant_id, object_id FROM configuration_change"
    " WHERE version > ? ORDER BY version"
)


class Kind(StrEnum):
    """What a change of the configuration is about."""

    SUBSCRIPTION = "subscription"
    KEY = "key"
    EVENT_TYPE = "event_type"
    REPLAY = "replay"
    ERASURE = "erasure"


class OwnCommits:
    """What this process commits itself, and so needs not be told of like the others' commits.

    Whoever writes puts it down before it stands.
    """

    __slots__ = ("last_seq", "versions")

    def __init__(self) -> None:
        self.versions: set[int] = set()
        self.last_seq = 0


def changed_subscriptions(
    db: Database, sealer: Sealer, after_version: int
) -> dict[str, SubscriptionRecord | None] | None:
    """The subscriptions changed since a version as they stand now, erased ones as None.

    None when the log does not reach back so far.
    """
    rows = fetch_all(db, _CHANGES, (after_version,))
    if _is_gap(rows, after_version):
        return None
    return _records(db, sealer, (row[3] for row in rows if row[1] == Kind.SUBSCRIPTION))


def heard_since(db: Database, sealer: Sealer, after_version: int, own: Container[int]) -> Committed:
    """What others have changed since a version, as it stands now.

    `own` are versions that this process has made. Where the log does not reach back so far,
    everything counts as changed.
    """
    rows = fetch_all(db, _CHANGES, (after_version,))
    if _is_gap(rows, after_version):
        return _everything(db, sealer)
    changed: dict[str, dict[tuple[str, str], None]] = {kind: {} for kind in Kind}
    for version, kind, tenant_id, object_id in rows:
        if version not in own:
            changed[kind][tenant_id or "", object_id or ""] = None
    records = _records(db, sealer, (name for _, name in changed[Kind.SUBSCRIPTION]))
    keys = {key_id: find_api_key(db, key_id) for _, key_id in changed[Kind.KEY]}
    types = {one: find_event_type(db, *one) for one in changed[Kind.EVENT_TYPE]}
    replays = [find_replay(db, replay_id) for _, replay_id in changed[Kind.REPLAY]]
    return Committed(
        subscriptions=[one.subscription for one in records.values() if one is not None],
        keys=[one for one in keys.values() if one is not None],
        revoked_key_ids=[key_id for key_id, one in keys.items() if one is None],
        replays=[one for one in replays if one is not None and one.finished_at_ms is None],
        has_erased=bool(changed[Kind.ERASURE]),
        event_types=[one for one in types.values() if one is not None],
        forgotten_event_types=[key for key, one in types.items() if one is None],
    )


def _everything(db: Database, sealer: Sealer) -> Committed:
    return Committed(
        subscriptions=[one.subscription for one in load_subscriptions(db, sealer)],
        keys=load_api_keys(db),
        replays=load_replays(db),
        has_erased=True,
        event_types=load_checked_event_types(db),
    )


def _is_gap(rows: Rows, after_version: int) -> bool:
    """Whether the log begins too late."""
    return not rows or rows[0][0] > after_version + 1


def _records(
    db: Database, sealer: Sealer, subscription_ids: Iterable[str]
) -> dict[str, SubscriptionRecord | None]:
    ids = dict.fromkeys(subscription_ids)
    rows = db.execute_many(
        f"{SUBSCRIPTION_SELECT} WHERE s.subscription_id IN (",
        [(one,) for one in ids],
        ")",
        types="t",
    )
    found: dict[str, SubscriptionRecord | None] = dict(ids)
    for record in SubscriptionRows(db, sealer).records(rows):
        found[record.subscription.subscription_id] = record
    return found
