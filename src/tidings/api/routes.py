"""Every route on one screen: method, path, scope, endpoint, status, headers, refusals of its own.

The rest of what a route may refuse follows from its shape (`Route.refusals`). Where two paths fit
a request, the first one that knows its method is taken.
"""

from collections.abc import Sequence
from typing import Final

from tidings.api import (
    dead_letters,
    deliveries,
    documents,
    event_types,
    events,
    keys,
    publishing,
    replays,
    statistics,
    stream,
    subscriptions,
    system,
    tenants,
)
from tidings.api.route import Route
from tidings.core.refusals import (
    AttemptInFlight,
    CallbackUrlRefused,
    EventIdConflict,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidState,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
    TooManySecrets,
)
from tidings.operations.access import Scope

_ADMIN: Final = Scope.ADMIN
_EVENTS: Final = Scope.EVENTS_READ
_PUBLISH: Final = Scope.EVENTS_WRITE
_READ: Final = Scope.SUBSCRIPTIONS_READ
_WRITE: Final = Scope.SUBSCRIPTIONS_WRITE
_SECRETS: Final = Scope.SECRETS_READ
_DELIVERIES: Final = Scope.DELIVERIES_READ
_REPLAY: Final = Scope.DELIVERIES_REPLAY
_OPEN: Final = None

_SUB: Final = "/webhook-subscriptions/{subscriptionId}"
_EVENT: Final = "/events/{eventId}"
_DELIVERY: Final = "/deliveries/{deliveryId}"
_DEAD: Final = "/dead-letters/{deliveryId}"
_TYPE: Final = "/event-types/{eventType}"

_ETAG: Final = ("ETag",)
_CREATED: Final = ("Location", "ETag")
_PUBLISHED: Final = ("Location", "Idempotent-Replay")
_KEYED: Final = ("Idempotency-Key",)
_HOPPING: Final = ("Idempotency-Key", "webhook-hops")
_MATCHED: Final = ("If-Match",)
_RESUMED: Final = ("Last-Event-ID",)

_BAD_STATE: Final = (InvalidState,)
_BAD_REPEAT: Final = (EventIdConflict, IdempotencyKeyReused)
_NO_CREATION: Final = (CallbackUrlRefused, IdempotencyKeyReused, QuotaExceeded)
_NO_CHANGE: Final = (CallbackUrlRefused, PreconditionFailed, QuotaExceeded)
_NO_DESCRIPTION: Final = (InvalidState, QuotaExceeded)
_NO_RETRY: Final = (InvalidState, AttemptInFlight)
_NO_REPLAY: Final = (InvalidState, NotFound)


# fmt: off
ROUTES: Final[Sequence[Route]] = (
    Route("POST", "/events", _PUBLISH, publishing.publish, 202,
          takes=_HOPPING, gives=_PUBLISHED, refuses=(*_BAD_REPEAT, QuotaExceeded)),
    Route("POST", "/events/batch", _PUBLISH, publishing.publish_many, 202, takes=_HOPPING),
    Route("GET", "/events", _EVENTS, events.list_all),
    Route("GET", "/events/stream", _EVENTS, stream.listen,
          takes=_RESUMED, refuses=(InvalidCursor, RateLimited)),
    Route("GET", _EVENT, _EVENTS, events.show),
    Route("GET", _EVENT + "/deliveries", _DELIVERIES, deliveries.list_of_event),
    Route("POST", _EVENT + "/replay", _REPLAY, events.replay, 202, refuses=_BAD_STATE),
    Route("GET", _EVENT + "/data", _EVENTS, events.show_data, is_signable=True),
    Route("DELETE", _EVENT + "/data", _PUBLISH, events.erase_data, 204),

    Route("POST", "/webhook-subscriptions", _WRITE, subscriptions.create, 201,
          takes=_KEYED, gives=_CREATED, refuses=_NO_CREATION),
    Route("GET", "/webhook-subscriptions", _READ, subscriptions.list_all),
    Route("POST", "/webhook-subscriptions/test-filter", _WRITE, subscriptions.try_filter),
    Route("GET", _SUB, _READ, subscriptions.show, gives=_ETAG),
    Route("PATCH", _SUB, _WRITE, subscriptions.change,
          takes=_MATCHED, gives=_ETAG, refuses=_NO_CHANGE),
    Route("DELETE", _SUB, _WRITE, subscriptions.delete, 204,
          takes=_MATCHED, refuses=(PreconditionFailed,)),
    Route("GET", _SUB + "/secret", _SECRETS, subscriptions.show_secrets),
    Route("POST", _SUB + "/rotate-secret", _WRITE, subscriptions.rotate_secret,
          refuses=(TooManySecrets,)),
    Route("POST", _SUB + "/test", _WRITE, subscriptions.send_test, refuses=_BAD_STATE),
    Route("POST", _SUB + "/pause", _WRITE, subscriptions.pause, gives=_ETAG, refuses=_BAD_STATE),
    Route("POST", _SUB + "/resume", _WRITE, subscriptions.resume, gives=_ETAG, refuses=_BAD_STATE),
    Route("POST", _SUB + "/disable", _WRITE, subscriptions.disable, gives=_ETAG),
    Route("POST", _SUB + "/verify", _WRITE, subscriptions.verify, gives=_ETAG, refuses=_BAD_STATE),
    Route("POST", _SUB + "/replay", _REPLAY, subscriptions.replay, 202, refuses=_BAD_STATE),
    Route("GET", _SUB + "/deliveries", _DELIVERIES, deliveries.list_of_subscription),
    Route("GET", _SUB + "/stats", _READ, statistics.of_subscription),

    Route("GET", "/deliveries", _DELIVERIES, deliveries.list_all),
    Route("GET", _DELIVERY, _DELIVERIES, deliveries.show),
    Route("POST", _DELIVERY + "/retry", _REPLAY, deliveries.retry, 202, refuses=_NO_RETRY),
    Route("POST", _DELIVERY + "/cancel", _REPLAY, deliveries.cancel, refuses=_BAD_STATE),
    Route("GET", "/dead-letters", _DELIVERIES, dead_letters.list_all),
    Route("POST", "/dead-letters/replay", _REPLAY, dead_letters.replay_many, 202,
          refuses=_NO_REPLAY),
    Route("POST", _DEAD + "/replay", _REPLAY, dead_letters.replay, 202, refuses=_BAD_STATE),
    Route("DELETE", _DEAD, _REPLAY, dead_letters.discard, 204),
    Route("GET", "/replays/{replayId}", _DELIVERIES, replays.show),
    Route("GET", "/stats", _READ, statistics.of_tenant),

    Route("GET", "/event-types", _ADMIN, event_types.list_all),
    Route("GET", _TYPE, _ADMIN, event_types.show),
    Route("PUT", _TYPE, _ADMIN, event_types.put, refuses=_NO_DESCRIPTION, may_create=True),
    Route("DELETE", _TYPE, _ADMIN, event_types.delete, 204),
    Route("POST", "/api-keys", _ADMIN, keys.create, 201),
    Route("GET", "/api-keys", _ADMIN, keys.list_all),
    Route("DELETE", "/api-keys/{keyId}", _ADMIN, keys.revoke, 204),
    Route("GET", "/tenants", _ADMIN, tenants.list_all),
    Route("DELETE", "/tenants/{tenantId}", _ADMIN, tenants.erase, 204),

    Route("GET", "/health/live", _OPEN, system.live),
    Route("GET", "/health/ready", _OPEN, system.ready),
    Route("GET", "/metrics", _ADMIN, system.metrics),
    Route("GET", "/openapi.json", _OPEN, documents.openapi),
    Route("GET", "/docs", _OPEN, documents.page),
    Route("GET", "/asyncapi.json", _OPEN, documents.asyncapi),
)
# fmt: on

SYSTEM_ROUTES: Final[Sequence[Route]] = [
    route for route in ROUTES if route.endpoint in (system.live, system.ready, system.metrics)
]
"""What a process that only delivers answers: how it is, and what it counts."""
