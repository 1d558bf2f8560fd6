"""Subscriptions as rows: secrets and custom headers are sealed on the way in."""

import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from tidings.core.payload import PayloadFormat
from tidings.core.subscription import DisabledReason, SigningSecret, Status, Subscription
from tidings.ports.records import SubscriptionRecord
from tidings.storage.sealing import CannotOpen, Sealer
from tidings.storage.sql.database import Database, fetch_one, replacing
from tidings.storage.sql.rows import (
    HEALTH_COLUMNS,
    Row,
    health_of,
    retry_policy_of,
    retry_policy_text,
)

_COLUMNS: Final = (
    "subscription_id",
    "tenant_id",
    "event_type",
    "callback_url",
    "created_at_ms",
    "updated_at_ms",
    "status",
    "disabled_reason",
    "description",
    "sealed_headers",
    "ordering_enabled",
    "retry_policy",
    "rate_limit_per_second",
    "timeout_seconds",
    "metadata",
    "version",
    "must_prove",
    "verified_at_ms",
    "content_filter",
    "payload_format",
    "thin_above_bytes",
)
_PUT: Final = (
    f"INSERT INTO subscription ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"
    + replacing("subscription_id", ", ".join(_COLUMNS))
)
SUBSCRIPTION_SELECT: Final = (
    f"SELECT {', '.join('s.' + name for name in _COLUMNS)},"
    f" {', '.join('h.' + name.strip() for name in HEALTH_COLUMNS.split(','))}"
    " FROM subscription s LEFT JOIN endpoint_health h ON h.subscription_id = s.subscription_id"
)
_LOG = logging.getLogger(__name__)
_HEADERS = msgspec.json.Decoder(tuple[tuple[str, str], ...])
_METADATA = msgspec.json.Decoder(dict[str, str])


class SubscriptionRows:
    """Reads and writes subscriptions on one connection."""

    def __init__(self, db: Database, sealer: Sealer) -> None:
        self._db = db
        self._sealer = sealer

    def records(self, rows: Sequence[Row]) -> list[SubscriptionRecord]:
        """The records in rows of `SUBSCRIPTION_SELECT`.

        A subscription whose secrets or headers do not open has neither, and so sends nothing.
        """
        secrets = self._secrets([(row[0], row[1]) for row in rows])
        return [self._record(row, secrets.get(row[0], ())) for row in rows]

    def put(self, subscription: Subscription) -> None:
        """Store a subscription, replacing what was there of it.

        One without secrets is one whose secrets could not be opened (or that is deleted): what is
        sealed of it stays as it is, so that nothing is lost before the right key is back.
        """
        subscription_id = subscription.subscription_id
        headers = None
        if subscription.is_unopened:
            (headers,) = fetch_one(
                self._db,
                "SELECT sealed_headers FROM subscription WHERE subscription_id = ?",
                (subscription_id,),
            )
        elif subscription.headers:
            headers = self._sealer.seal(
                msgspec.json.encode(subscription.headers), _owner("headers", subscription)
            )
        row = (
            subscription_id,
            subscription.tenant_id,
            subscription.event_type,
            subscription.callback_url,
            subscription.created_at_ms,
            subscription.updated_at_ms,
            subscription.status,
            subscription.disabled_reason,
            subscription.description,
            headers,
            int(subscription.ordering_enabled),
            retry_policy_text(subscription.retry_policy),
            subscription.rate_limit_per_second,
            subscription.timeout_seconds,
            msgspec.json.encode(subscription.metadata).decode(),
            subscription.version,
            int(subscription.must_prove),
            subscription.verified_at_ms,
            subscription.content_filter,
            subscription.payload_format,
            subscription.thin_above_bytes,
        )
        self._db.execute(_PUT, row)
        if subscription.is_unopened:
            return
        self._db.execute("DELETE FROM signing_secret WHERE subscription_id = ?", (subscription_id,))
        for position, secret in enumerate(subscription.secrets):
            sealed = self._sealer.seal(secret.secret.encode(), _owner("secret", subscription))
            self._db.execute(
                "INSERT INTO signing_secret VALUES (?,?,?,?,?)",
                (subscription_id, position, sealed, secret.created_at_ms, secret.expires_at_ms),
            )

    def _secrets(self, owners: Sequence[tuple[str, str]]) -> dict[str, tuple[SigningSecret, ...]]:
        tenants = dict(owners)
        found: dict[str, tuple[SigningSecret, ...]] = {}
        unopened: set[str] = set()
        stored = self._db.execute_many(
            "SELECT subscription_id, sealed_secret, created_at_ms, expires_at_ms"
            " FROM signing_secret WHERE subscription_id IN (",
            [(one,) for one in tenants],
            ") ORDER BY subscription_id, position",
            types="t",
        )
        for subscription_id, sealed, created_at_ms, expires_at_ms in stored:
            owner = f"secret:{tenants[subscription_id]}:{subscription_id}"
            try:
                text = self._sealer.open(sealed, owner).decode()
            except CannotOpen:
                _LOG.error("a secret cannot be opened; nothing is sent to %s", subscription_id)
                unopened.add(subscription_id)
                continue
            secret = SigningSecret(text, created_at_ms, expires_at_ms)
            found[subscription_id] = (*found.get(subscription_id, ()), secret)
        # Signing with a part of the secrets would break receivers that rely on the others.
        return {one: secrets for one, secrets in found.items() if one not in unopened}

    def _record(self, row: Row, secrets: tuple[SigningSecret, ...]) -> SubscriptionRecord:
        headers: tuple[tuple[str, str], ...] = ()
        if row[9] is not None:
            try:
                headers = _HEADERS.decode(self._sealer.open(row[9], f"headers:{row[1]}:{row[0]}"))
            except CannotOpen:
                _LOG.error("the headers cannot be opened; nothing is sent to %s", row[0])
                secrets = ()
        subscription = Subscription(
            subscription_id=row[0],
            tenant_id=row[1],
            event_type=row[2],
            callback_url=row[3],
            created_at_ms=row[4],
            updated_at_ms=row[5],
            secrets=secrets,
            status=Status(row[6]),
            disabled_reason=None if row[7] is None else DisabledReason(row[7]),
            description=row[8],
            headers=headers,
            ordering_enabled=bool(row[10]),
            retry_policy=retry_policy_of(row[11]),
            rate_limit_per_second=row[12],
            timeout_seconds=row[13],
            metadata=_METADATA.decode(row[14]),
            version=row[15],
            must_prove=bool(row[16]),
            verified_at_ms=row[17],
            content_filter=row[18],
            payload_format=PayloadFormat(row[19]),
            thin_above_bytes=row[20],
        )
        return SubscriptionRecord(subscription, health_of(row[len(_COLUMNS) :]))


def _owner(kind: str, subscription: Subscription) -> str:
    return f"{kind}:{subscription.tenant_id}:{subscription.subscription_id}"
