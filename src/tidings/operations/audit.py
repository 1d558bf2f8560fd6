"""The audit record as it goes into the log: who did what to which object."""

import logging

from tidings.ports.store import Committed

_LOG = logging.getLogger(__name__)


def log_audited(committed: Committed) -> None:
    """Log what a commit changed. What it was before and after stands in the database alone."""
    for record in committed.audited:
        _LOG.info(
            "audit",
            extra={
                "action": record.action,
                "by_key_id": record.by,
                "tenant_id": record.tenant_id,
                "object_id": record.object_id,
            },
        )
