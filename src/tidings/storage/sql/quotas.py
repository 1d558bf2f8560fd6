"""How many subscriptions a tenant may have, judged inside the transaction that adds one."""

from tidings.core.refusals import QuotaExceeded
from tidings.core.subscription import Subscription
from tidings.storage.sql.database import fetch_one
from tidings.storage.sql.transaction import Transaction


def check_room(tx: Transaction, tenant_id: str, quota: int) -> None:
    """Raise `QuotaExceeded` when the tenant has no room for another subscription.

    Those that take events are counted in memory, so that the writer never walks over all of them.
    """
    idle = fetch_one(
        tx.db,
        "SELECT count(*) FROM subscription"
        " WHERE tenant_id = ? AND status IN ('disabled', 'pending_verification')",
        (tenant_id,),
    )
    assert idle is not None
    count = idle[0] + tx.routing.count(tenant_id)
    if count >= quota:
        raise QuotaExceeded(f"the tenant has {count} subscriptions, the limit is {quota}")


def check_equals(tx: Transaction, subscription: Subscription, equal_max: int) -> None:
    """Raise `QuotaExceeded` when as many others already have its callback URL and event type."""
    others = fetch_one(
        tx.db,
        "SELECT count(*) FROM (SELECT 1 FROM subscription WHERE tenant_id = ? AND callback_url = ?"
        " AND event_type = ? AND status <> 'deleted' AND subscription_id <> ? LIMIT ?) AS counted",
        (
            subscription.tenant_id,
            subscription.callback_url,
            subscription.event_type,
            subscription.subscription_id,
            equal_max,
        ),
    )
    assert others is not None
    if others[0] >= equal_max:
        raise QuotaExceeded(
            f"{others[0]} other subscriptions have this callback URL and event type, "
            f"the limit is {equal_max}"
        )
