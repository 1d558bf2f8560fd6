"""What the API works with: the verbs, and the few settings that concern HTTP."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tidings.api.event_stream import USUAL_PACE, StreamPace
from tidings.core import limits
from tidings.operations.access import Access
from tidings.operations.catalogue import Catalogue
from tidings.operations.event_data import EventDataReading
from tidings.operations.event_streams import EventStreams
from tidings.operations.inspection import Inspection
from tidings.operations.publish import Publisher
from tidings.operations.replay import Replays
from tidings.operations.statistics import Counting
from tidings.operations.subscriptions import Subscriptions
from tidings.operations.tenants import Tenants
from tidings.operations.trials import Trials


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What an operator decides about the API.

    `public_url` begins every URL that we answer and has no slash at its end. In development mode
    (`is_dev`) no key is needed, and only this computer is answered. `cursor_key` protects cursors:
    the same on all servers of one database, and secret.
    """

    public_url: str
    cursor_key: bytes
    version: str
    is_dev: bool = False
    event_bytes_max: int = limits.EVENT_BYTES_MAX_DEFAULT
    stream_pace: StreamPace = USUAL_PACE


@dataclass(frozen=True, slots=True)
class Services:
    """The verbs that routes call. `readiness` answers why the server is not ready, if it is not."""

    settings: ApiSettings
    access: Access
    publisher: Publisher
    subscriptions: Subscriptions
    trials: Trials
    inspection: Inspection
    catalogue: Catalogue
    event_data: EventDataReading
    replays: Replays
    tenants: Tenants
    counting: Counting
    streams: EventStreams
    readiness: Callable[[], Awaitable[list[str]]]
    metrics: Callable[[], bytes]
