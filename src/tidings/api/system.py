"""The server about itself: whether it lives, whether it is ready, what it counts."""

from tidings.api.answers import Answer, Encoded
from tidings.api.call import Call
from tidings.api.wire.access import ServerState
from tidings.core.refusals import Unavailable

_PROMETHEUS = b"text/plain; version=1.0.0; charset=utf-8"


async def live(call: Call) -> Answer[ServerState]:
    """Whether the process answers at all."""
    return Answer(ServerState(status="live", version=call.services.settings.version))


async def ready(call: Call) -> Answer[ServerState]:
    """Whether requests can be served; the reasons if not."""
    reasons = await call.services.readiness()
    if reasons:
        raise Unavailable("; ".join(reasons))
    return Answer(ServerState(status="ready", version=call.services.settings.version))


async def metrics(call: Call) -> Answer[bytes]:
    """What the server counts, in the text format of Prometheus."""
    call.principal.require_global()
    return Answer(Encoded(call.services.metrics(), _PROMETHEUS))
