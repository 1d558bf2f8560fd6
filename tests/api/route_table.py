"""Every route, written by hand from the design, to be held against what the code says of itself.

`query` and `body` name what a request may hold (`*`: must), `answer` what comes back; of a list,
what its items hold.
"""

from typing import Final, NamedTuple


class Row(NamedTuple):
    """One route as the design has it. `statuses` are those beside the ones that all share."""

    method: str
    path: str
    scope: str | None
    statuses: str
    query: str = ""
    body: str = ""
    answer: str = ""
    takes: str = ""
    gives: str = ""


ALL_STATUSES: Final = "422 500 503"
KEY_STATUSES: Final = "401 403 429"
JSON_STATUSES: Final = "406"
BODY_STATUSES: Final = "400 408 413 415"

_PAGE: Final = "limit cursor tenantId "
_SPAN: Final = " since until"
_WISH: Final = (
    "description filter headers payloadFormat thinAboveBytes orderingEnabled retryPolicy"
    " rateLimitPerSecond timeoutSeconds metadata"
)
_SUBSCRIPTION: Final = (
    "subscriptionId tenantId eventType callbackUrl secret standardWebhooksSecret status"
    " disabledReason health description filter headerNames payloadFormat thinAboveBytes"
    " orderingEnabled retryPolicy rateLimitPerSecond timeoutSeconds metadata verifiedAt createdAt"
    " updatedAt"
)
_EVENT: Final = "eventId tenantId eventType occurredAt orderingKey createdAt"
_DELIVERY: Final = (
    "deliveryId tenantId eventId eventType subscriptionId status attemptCount replayCount"
    " nextAttemptAt createdAt finishedAt deadLetterReason"
)
_ATTEMPT: Final = (
    "attemptId number startedAt durationMs outcome statusCode errorClass errorDetail"
    " requestHeaders responseHeaders responseBody responseBodyEncoding"
)
_REPLAY: Final = (
    "replayId tenantId status only subscriptionId eventType since until deliveries done createdAt"
    " finishedAt"
)
_STATISTICS: Final = (
    "tenantId since until bucketSeconds attempts outcomes successShare latencyMs deadLettered"
    " backlog buckets"
)
_TYPE: Final = (
    "eventType tenantId description schema example validation deprecated version createdAt"
    " updatedAt"
)
_KEY: Final = "keyId name scopes tenantId expiresAt createdAt"
_SUB: Final = "/webhook-subscriptions/{subscriptionId}"

TABLE: Final = (
    Row("POST", "/events", "events:write", "202 409",
        body="eventType* data* eventId occurredAt orderingKey tenantId",
        answer="eventId eventType occurredAt deliveries",
        takes="Idempotency-Key webhook-hops", gives="Location Idempotent-Replay"),
    Row("POST", "/events/batch", "events:write", "202",
        body="events*", answer="items", takes="Idempotency-Key webhook-hops"),
    Row("GET", "/events", "events:read", "200 400",
        query=_PAGE + "eventType" + _SPAN, answer=_EVENT),
    Row("GET", "/events/stream", "events:read", "200 400 429",
        query="tenantId eventType", takes="Last-Event-ID"),
    Row("GET", "/events/{eventId}", "events:read", "200 404",
        query="tenantId", answer=_EVENT + " data"),
    Row("GET", "/events/{eventId}/deliveries", "deliveries:read", "200 400 404",
        query=_PAGE + "status" + _SPAN, answer=_DELIVERY),
    Row("POST", "/events/{eventId}/replay", "deliveries:replay", "202 404 409",
        query="tenantId", body="subscriptionId tenantId", answer="eventId deliveries"),
    Row("GET", "/events/{eventId}/data", "events:read", "200 404", query="tenantId signature"),
    Row("DELETE", "/events/{eventId}/data", "events:write", "204 404", query="tenantId"),
    Row("POST", "/webhook-subscriptions", "subscriptions:write", "201 429",
        body=f"eventType* callbackUrl* secret {_WISH} tenantId", answer=_SUBSCRIPTION,
        takes="Idempotency-Key", gives="Location ETag"),
    Row("GET", "/webhook-subscriptions", "subscriptions:read", "200 400",
        query=_PAGE + "eventType status" + _SPAN, answer=_SUBSCRIPTION),
    Row("POST", "/webhook-subscriptions/test-filter", "subscriptions:write", "200",
        query="tenantId", body="filter* data* tenantId", answer="matches"),
    Row("GET", _SUB, "subscriptions:read", "200 404",
        query="tenantId", answer=_SUBSCRIPTION, gives="ETag"),
    Row("PATCH", _SUB, "subscriptions:write", "200 404 412",
        query="tenantId", body=f"eventType callbackUrl {_WISH}", answer=_SUBSCRIPTION,
        takes="If-Match", gives="ETag"),
    Row("DELETE", _SUB, "subscriptions:write", "204 404 412", query="tenantId", takes="If-Match"),
    Row("GET", _SUB + "/secret", "secrets:read", "200 404", query="tenantId", answer="secrets"),
    Row("POST", _SUB + "/rotate-secret", "subscriptions:write", "200 404 409",
        query="tenantId", body="secret overlapSeconds tenantId",
        answer="secret standardWebhooksSecret previousExpireAt"),
    Row("POST", _SUB + "/test", "subscriptions:write", "200 404 409",
        query="tenantId", body="eventType data tenantId", answer=_ATTEMPT),
    Row("POST", _SUB + "/pause", "subscriptions:write", "200 404 409",
        query="tenantId", body="tenantId", answer=_SUBSCRIPTION, gives="ETag"),
    Row("POST", _SUB + "/resume", "subscriptions:write", "200 404 409",
        query="tenantId", body="tenantId", answer=_SUBSCRIPTION, gives="ETag"),
    Row("POST", _SUB + "/disable", "subscriptions:write", "200 404",
        query="tenantId", body="tenantId", answer=_SUBSCRIPTION, gives="ETag"),
    Row("POST", _SUB + "/verify", "subscriptions:write", "200 404 409",
        query="tenantId", body="tenantId", answer=_SUBSCRIPTION, gives="ETag"),
    Row("POST", _SUB + "/replay", "deliveries:replay", "202 404 409",
        query="tenantId", body="since until eventType only dryRun tenantId",
        answer="replayId deliveries"),
    Row("GET", _SUB + "/deliveries", "deliveries:read", "200 400 404",
        query=_PAGE + "status" + _SPAN, answer=_DELIVERY),
    Row("GET", _SUB + "/stats", "subscriptions:read", "200 404",
        query="tenantId since until bucketSeconds",
        answer=f"subscriptionId health {_STATISTICS}"),
    Row("GET", "/deliveries", "deliveries:read", "200 400",
        query=_PAGE + "status subscriptionId eventId" + _SPAN, answer=_DELIVERY),
    Row("GET", "/deliveries/{deliveryId}", "deliveries:read", "200 404",
        query="tenantId", answer=_DELIVERY + " attempts"),
    Row("POST", "/deliveries/{deliveryId}/retry", "deliveries:replay", "202 404 409",
        query="tenantId", body="tenantId", answer=_DELIVERY),
    Row("POST", "/deliveries/{deliveryId}/cancel", "deliveries:replay", "200 404 409",
        query="tenantId", body="tenantId", answer=_DELIVERY),
    Row("GET", "/dead-letters", "deliveries:read", "200 400",
        query=_PAGE + "status subscriptionId eventId" + _SPAN, answer=_DELIVERY),
    Row("POST", "/dead-letters/replay", "deliveries:replay", "202 404 409",
        query="tenantId", body="subscriptionId eventType since until dryRun tenantId",
        answer="replayId deliveries"),
    Row("POST", "/dead-letters/{deliveryId}/replay", "deliveries:replay", "202 404 409",
        query="tenantId", body="tenantId", answer=_DELIVERY),
    Row("DELETE", "/dead-letters/{deliveryId}", "deliveries:replay", "204 404", query="tenantId"),
    Row("GET", "/replays/{replayId}", "deliveries:read", "200 404",
        query="tenantId", answer=_REPLAY),
    Row("GET", "/stats", "subscriptions:read", "200",
        query="tenantId since until bucketSeconds", answer=_STATISTICS),
    Row("GET", "/event-types", "admin", "200 400", query=_PAGE, answer=_TYPE),
    Row("GET", "/event-types/{eventType}", "admin", "200 404",
        query="tenantId", answer=_TYPE + " versions"),
    Row("PUT", "/event-types/{eventType}", "admin", "200 201 404 409 429",
        query="tenantId force", body="description schema example validation deprecated tenantId",
        answer=_TYPE),
    Row("DELETE", "/event-types/{eventType}", "admin", "204 404", query="tenantId"),
    Row("POST", "/api-keys", "admin", "201",
        body="name* scopes* tenantId expiresAt", answer=_KEY + " key"),
    Row("GET", "/api-keys", "admin", "200 400", query=_PAGE, answer=_KEY),
    Row("DELETE", "/api-keys/{keyId}", "admin", "204 404", query="tenantId"),
    Row("GET", "/tenants", "admin", "200 400", query="limit cursor", answer="tenantId createdAt"),
    Row("DELETE", "/tenants/{tenantId}", "admin", "204 404"),
    Row("GET", "/health/live", None, "200", answer="status version"),
    Row("GET", "/health/ready", None, "200", answer="status version"),
    Row("GET", "/metrics", "admin", "200"),
    Row("GET", "/openapi.json", None, "200"),
    Row("GET", "/docs", None, "200"),
    Row("GET", "/asyncapi.json", None, "200"),
)  # fmt: skip
