"""The stored health of endpoints: what a restart must respect."""

from collections.abc import Sequence

from tidings.core.health import HEALTHY, Health
from tidings.storage.sql.database import Database, fetch_one, replacing
from tidings.storage.sql.rows import HEALTH_COLUMNS, health_of


def read_health(db: Database, subscription_id: str) -> Health:
    """The stored health of an endpoint."""
    row = fetch_one(
        db,
        f"SELECT {HEALTH_COLUMNS} FROM endpoint_health WHERE subscription_id = ?",
        (subscription_id,),
    )
    return HEALTHY if row is None else health_of(row)


def write_health(db: Database, healths: Sequence[tuple[str, Health]]) -> None:
    """Store the health of endpoints; a healthy one needs no row."""
    for subscription_id, health in healths:
        if health == HEALTHY:
            db.execute("DELETE FROM endpoint_health WHERE subscription_id = ?", (subscription_id,))
        else:
            db.execute(
                "INSERT INTO endpoint_health SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
                # Its tenant may have been erased while the attempt was on its way.
                " WHERE EXISTS (SELECT 1 FROM subscription WHERE subscription_id = ?1)"
                + replacing("subscription_id", HEALTH_COLUMNS),
                (
                    subscription_id,
                    health.consecutive_failures,
                    health.failing_since_ms,
                    health.probe_at_ms,
                    health.probe_interval_ms,
                    health.held_until_ms,
                    int(health.is_told),
                ),
            )
