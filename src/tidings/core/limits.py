"""Every bound of the system, and the relations between them.

A bound that users may change has its setting in `tidings.settings`; the value here is then its
default or the limit of the setting. Times are milliseconds unless the name says otherwise.
"""

from typing import Final

# What a publisher may send.
EVENT_BYTES_MAX_DEFAULT: Final = 256 * 1024
EVENT_BYTES_MAX_LIMIT: Final = 1024 * 1024
BATCH_BYTES_MAX: Final = 5 * 1024 * 1024
BATCH_EVENTS_MAX: Final = 1_000
REQUEST_BYTES_MAX: Final = 256 * 1024
"""The body of any request that is not a publish."""
UPLOAD_TIMEOUT_SECONDS: Final = 30
REQUEST_HEAD_BYTES_MAX: Final = 64 * 1024
REQUEST_HEADERS_MAX: Final = 100
REQUEST_HEAD_SECONDS: Final = 10
REQUESTS_WAITING_MAX: Final = 100
"""How many requests of one connection may wait until those before them are answered."""
ANSWER_STALL_SECONDS: Final = 60
"""How long a client may take nothing of its answer."""
OCCURRED_AHEAD_MS_MAX: Final = 366 * 24 * 3_600_000
"""An event that says it will happen later than this has a mistake in its time."""
EVENT_TYPE_LENGTH_MAX: Final = 128
ID_LENGTH_MAX: Final = 128
ORDERING_KEY_LENGTH_MAX: Final = 128
JSON_DEPTH_MAX: Final = 64
IDEMPOTENCY_KEY_LENGTH_MAX: Final = 255
QUERY_PARAMETERS_MAX: Final = 50
IDEMPOTENT_REQUEST_TTL_MS: Final = 24 * 3_600_000
HOPS_MAX: Final = 8
"""How often what was received may be published anew: beyond that it is going in a circle."""
QUOTA_BURST_SECONDS: Final = 10
"""A key or tenant that was quiet may do at once what it may do in this time."""
BACKLOG_RETRY_AFTER_SECONDS: Final = 10
AUDIT_DAYS: Final = 365
"""How long it is kept who changed what."""

# Trials: challenges and tests, which are sent outside of any delivery because somebody asks for it.
# What a tenant may have sent in a minute may go at once.
CHALLENGES_PER_MINUTE_MAX: Final = 20
TESTS_PER_MINUTE_MAX: Final = 300
TRIALS_OF_HOST_FACTOR: Final = 3
"""One host gets as many times what a tenant may send, so that none of them spoils it for others."""
TRIALS_IN_FLIGHT_MAX: Final = 256
TRIALS_IN_FLIGHT_OF_HOST_MAX: Final = 32
TRIALS_FULL_RETRY_AFTER_MS: Final = 1_000

# What a subscription may hold.
PATTERNS_MAX: Final = 20
PATTERNS_LENGTH_MAX: Final = 2_700
CALLBACK_URL_LENGTH_MAX: Final = 2_048
CUSTOM_HEADERS_MAX: Final = 20
CUSTOM_HEADER_VALUE_LENGTH_MAX: Final = 4_096
CUSTOM_HEADER_NAME_LENGTH_MAX: Final = 128
EQUAL_SUBSCRIPTIONS_MAX_DEFAULT: Final = 2_000
"""How many of a tenant may have the same callback URL and event type, so that a program which
subscribes at each start does not multiply every event without end."""
DESCRIPTION_LENGTH_MAX: Final = 1_000
METADATA_MEMBERS_MAX: Final = 50
METADATA_KEY_LENGTH_MAX: Final = 128
METADATA_VALUE_LENGTH_MAX: Final = 500
API_KEY_NAME_LENGTH_MAX: Final = 200
LIVE_SECRETS_MAX: Final = 5
SECRET_OVERLAP_SECONDS_DEFAULT: Final = 24 * 3_600
SECRET_OVERLAP_SECONDS_MAX: Final = 7 * 24 * 3_600
RATE_PER_SECOND_MIN: Final = 0.001
RATE_PER_SECOND_MAX: Final = 10_000.0
THIN_ABOVE_BYTES_MAX: Final = 1024 * 1024 * 1024
TIMEOUT_SECONDS_DEFAULT: Final = 15
TIMEOUT_SECONDS_MIN: Final = 1
TIMEOUT_SECONDS_MAX: Final = 30
ATTEMPTS_MAX: Final = 21
RETRY_WAIT_SECONDS_MIN: Final = 0.1
RETRY_WAIT_SECONDS_MAX: Final = 604_800
RETRY_FACTOR_MIN: Final = 1.0
RETRY_FACTOR_MAX: Final = 100.0
RETRY_AFTER_MS_MAX: Final = 24 * 3_600_000

# The catalogue of event types. A step of a check is one thing in a schema for one value of the
# data: some 0.03 us.
EVENT_TYPES_MAX: Final = 500
"""How many event types a tenant may describe."""
EVENT_TYPE_VERSIONS_MAX: Final = 20
"""Of each schema so many versions are kept."""
SCHEMA_BYTES_MAX: Final = 64 * 1024
EXAMPLE_BYTES_MAX: Final = 64 * 1024
SCHEMA_DEPTH_MAX: Final = 48
SCHEMA_COST_MAX: Final = 10_000
SCHEMA_PATTERNS_MAX: Final = 32
SCHEMA_PATTERN_BYTES_MAX: Final = 256 * 1024
"""How large a regular expression may become when it is compiled."""
SCHEMA_STEPS_MAX: Final = 2_000_000
SCHEMA_ALL_FAULTS_STEPS_MAX: Final = 20_000
"""Above this only the first fault of data is looked for."""
SCHEMA_STEPS_AT_ONCE: Final = 100_000
"""After so many, others get their turn before the next event of a request is checked."""
SCHEMA_FAULTS_MAX: Final = 20
SCHEMAS_COMPILED_MAX: Final = 1_000

# Content filters. A step is one value looked at, or 256 characters searched: some 0.2 us.
FILTER_BYTES_MAX: Final = 8 * 1024
FILTER_NODES_MAX: Final = 256
"""Members and elements in a filter, wherever they stand in it."""
FILTER_DEPTH_MAX: Final = 24
FILTER_PATH_SEGMENTS_MAX: Final = 16
FILTER_STEPS_MAX: Final = 10_000
FILTER_STEPS_OF_EVENT_MAX: Final = 200_000
"""Steps for all filters that one event meets. When they are used up, each further filter has ..."""
FILTER_STEPS_MIN: Final = 100
"""... these, so that a few costly filters cannot spoil the simple ones beside them."""

# What is read and kept of an answer.
ANSWER_BODY_BYTES_READ_MAX: Final = 64 * 1024
ANSWER_BODY_BYTES_KEPT_MAX: Final = 4 * 1024
ANSWER_HEADERS_KEPT_MAX: Final = 40
ANSWER_HEADER_VALUE_LENGTH_MAX: Final = 512
ANSWER_WIRE_BYTES_MAX: Final = 4 * ANSWER_BODY_BYTES_READ_MAX
"""All that is taken of one answer: interim responses, head, body and the framing of chunks."""
ANSWER_HEAD_BYTES_MAX: Final = 32 * 1024
ANSWER_HEADERS_MAX: Final = 200
INTERIM_ANSWERS_MAX: Final = 100

# Connections to receivers.
CONNECTIONS_KEPT_MAX: Final = 2_048
"""Unused connections that stay open; beyond, the one that waited longest is closed."""
CONNECTION_IDLE_SECONDS_MAX: Final = 30.0
"""How long an unused connection is kept. Short, so that changes of a name's address are seen."""
CONNECTION_IDLE_MARGIN_SECONDS: Final = 1
"""We leave so long before a receiver has said that it will."""
CONNECTION_SWEEP_SECONDS: Final = 5.0
ENDPOINTS_KNOWN_MAX: Final = 10_000
"""Endpoints whose URL stays parsed; whoever was used longest ago is parsed again."""
ADDRESSES_TRIED_MAX: Final = 8
CONNECT_STAGGER_SECONDS: Final = 0.25
"""An address that has not answered for so long gets company from the next one."""
LOOKUP_SECONDS_MAX: Final = 5.0
RECEIVE_BUFFER_BYTES: Final = 64 * 1024
"""What the kernel takes of an answer before we do; no honest answer is longer."""
WRITTEN_AT_ONCE_BYTES_MAX: Final = 64 * 1024
"""What is encrypted and handed to the kernel in one go, so that others get their turn."""
HANDSHAKES_MAX: Final = 8
HANDSHAKE_SLOT_SECONDS: Final = 0.1
HANDSHAKE_BYTES_MAX: Final = 256 * 1024
PROXY_HEAD_BYTES_MAX: Final = 16 * 1024
DEADLINE_COARSENESS_SECONDS: Final = 0.02
DEADLINE_STALL_SECONDS: Final = 0.25
"""A look at deadlines that comes so late was held up, as by a pause of the whole process."""

# One transaction: bounded so that nobody waits longer than about 10 ms for the one writer.
COMMIT_EVENTS_MAX: Final = 256
COMMIT_BYTES_MAX: Final = 4 * 1024 * 1024
COMMIT_DELIVERIES_MAX: Final = 2_000
COMMIT_FILTER_STEPS_MAX: Final = 50_000
"""After so many steps of content filters no further event joins a transaction."""
RESULTS_MAX: Final = 256
SETTLED_ROWS_MAX: Final = 500
PUBLISHES_GATHER_MS: Final = 4
PUBLISHES_WAITING_MAX: Final = 20_000
PUBLISH_BYTES_WAITING_MAX: Final = 64 * 1024 * 1024
COMMIT_MS_MAX: Final = 5_000
"""While a commit takes longer than this, new events are refused instead of made to wait."""
TRANSACTION_MS_MAX: Final = 10.0
"""After this long no further write joins a transaction."""
WRITES_WAITING_MAX: Final = 1_000
"""How many writes may share a transaction."""
BUSY_TIMEOUT_MS: Final = 5_000
"""How long a connection waits for another one's lock on the database."""
STATEMENT_MS: Final = 10_000
"""A statement that takes longer is given up by PostgreSQL."""
IDLE_IN_TRANSACTION_MS: Final = 2_000
"""Within a transaction PostgreSQL waits so long for us: a stopped process must not hold locks."""
SERVER_SILENT_MS: Final = 1_000
"""So long after a statement should have been given up, PostgreSQL counts as unreachable."""
COMMIT_SILENT_MS: Final = 10_000
"""A COMMIT without an answer for so long has an unknown result."""
PARTITION_DAYS_AHEAD: Final = 7
PARTITION_LOCK_MS: Final = 200
PARTITION_DETACH_MS: Final = 2_000
"""How long a partition that is to go waits for those who read its table, before it is given up."""
PARTITION_TRIES: Final = 3
RETAINED_ROWS_MAX: Final = 200
"""What one step of the retention deletes or ends."""
BACKLOGS_COUNTED_MAX: Final = 10_000
"""Tenants whose backlog is kept in memory."""

DISK_RESERVE_BYTES: Final = 64 * 1024 * 1024
"""Below this nothing is accepted, so that the results of what was accepted can be stored."""

# The scheduler.
CONCURRENCY_MAX_DEFAULT: Final = 512
ENDPOINT_CONCURRENCY_MAX: Final = 64
ENDPOINT_WINDOW_ROWS_MAX: Final = 256
"""Rows of one endpoint that wait in memory; the rest is read in pages when these run low."""
ENDPOINT_ROWS_MIN: Final = 8
"""Rows of one endpoint that are read however full memory is, new ones and repeats each."""
ENDPOINT_LANES_MAX: Final = 10_000
ROWS_IN_MEMORY_MAX: Final = 200_000
"""Rows in memory, but for those under way; endpoints that have none there get a few beyond it."""
DUE_WINDOW_MS: Final = 60_000
DUE_ROWS_IN_MEMORY_MAX: Final = 50_000
HOST_CONCURRENCY_MAX: Final = 128
"""Requests to one host at once, whoever asked for them, so that nobody can aim all of us at it."""
SLOW_ANSWER_MS: Final = 1_000
"""An endpoint that takes longer counts as slow and may use only its share of the slots."""
SLOW_SLOTS_SHARE: Final = 0.7
FAILING_AFTER_FAILURES: Final = 5
"""So many failures in a row put an endpoint among those that fail."""
FAILING_SLOTS_MAX: Final = 8
"""Requests at once to endpoints that fail fast: what they cost in work, others wait for."""
RETRY_SLOTS_SHARE: Final = 0.5
RESULTS_UNRECORDED_MAX: Final = 512
RESULT_UNRECORDED_AGE_MS_MAX: Final = 500
RESULTS_GATHER_MS: Final = 20
BODY_CACHE_BYTES_MAX: Final = 64 * 1024 * 1024
BODIES_READ_MAX: Final = 64
ENDPOINTS_IN_MEMORY_MAX: Final = 20_000
"""Endpoints that stay in memory although they have nothing to do."""
EVENTS_LOOKED_AT_MAX: Final = 4_000
"""Through which a page of a list of events looks for those of some types."""
REPLAYED_ROWS_WAITING_MAX: Final = 1_000
REPLAY_ROWS_LOOKED_AT_MAX: Final = 1_000
"""At which a step of a replay looks, however few of them it finds to be its own."""
REPLAY_FILTER_COST: Final = 10
"""How many times fewer these are where a content filter has to read each body."""
REPLAY_ROWS_COUNTED_AT_ONCE: Final = 5_000

# Endpoint health.
HEALTH_OPENS_AFTER_FAILURES: Final = 10
HEALTH_OPENS_AFTER_MS: Final = 60_000
PROBE_INTERVAL_MS_MIN: Final = 30_000
PROBE_INTERVAL_MS_MAX: Final = 30 * 60_000
HEALTH_WRITE_INTERVAL_MS: Final = 1_000
FAILING_TOLD_SHARE: Final = 0.5
"""Of the days after which failure disables: when somebody is told, unless the endpoint opened."""
OUR_FAULT_RETRY_MS: Final = 5_000

# Listing and counting.
PAGE_LIMIT_DEFAULT: Final = 50
PAGE_LIMIT_MAX: Final = 200
BACKLOG_COUNT_MAX: Final = 10_000

# Streams of events.
STREAMS_MAX: Final = 256
STREAMS_PER_TENANT_MAX: Final = 128
STREAMS_PER_KEY_MAX: Final = 64
STREAM_HEARTBEAT_SECONDS: Final = 15
STREAM_STALL_SECONDS: Final = 30
"""Who takes nothing for so long is cut off."""
STREAM_RETRY_MS: Final = 1_000
"""After how long a client shall come back when a stream has ended."""
STREAM_POLL_MS: Final = 500
"""How often the store is asked for what it told nobody, and the keys of streams are looked at."""
STREAM_GATHER_MS: Final = 10
STREAM_PAGE_ROWS_MAX: Final = 200
STREAM_PAGE_BYTES_MAX: Final = 256 * 1024
STREAM_WRITE_BYTES_MAX: Final = 64 * 1024
STREAM_RECENT_EVENTS_MAX: Final = 256
STREAM_RECENT_BYTES_MAX: Final = 128 * 1024

# Statistics: roll-ups of ten seconds, which become minutes and hours as they age.
ROLL_UP_SECONDS: Final = 10
ROLL_UP_MINUTE_SECONDS: Final = 60
ROLL_UP_HOUR_SECONDS: Final = 3_600
ROLL_UP_SECONDS_KEPT_MS: Final = 30 * 60_000
ROLL_UP_MINUTES_KEPT_MS: Final = 12 * 3_600_000
ROLL_UPS_AT_ONCE: Final = 256
STATISTICS_SPAN_MS_DEFAULT: Final = 24 * 3_600_000
STATISTICS_BUCKET_SECONDS_MAX: Final = 24 * 3_600
STATISTICS_BUCKETS_MAX: Final = 1_500

# Ownership of shards by workers that share a database.
SHARDS: Final = 256
LEASE_MS: Final = 10_000
"""A session that was not renewed for so long, by the database's clock, may be ended by others."""
LEASE_RENEW_MS: Final = 2_000
LEASE_MARGIN_MS: Final = 1_000
"""So long before its lease ends, by its own clock, a worker starts nothing more."""
CLOCK_DRIFT_SHARE_MAX: Final = 0.02
"""How wrong a clock may go, as a share of the time that passes; healthy ones are far better."""
CLOCKS_APART_MS_MAX: Final = 5_000
"""How far the clocks of healthy hosts may be apart."""
COORDINATION_TIMEOUT_MS: Final = 2_000
"""A statement about ownership without an answer by then counts as failed: its effect is unknown."""
COORDINATION_RETRY_MS: Final = 250
COORDINATION_OUTAGE_MS: Final = 5_000
"""Without a renewal for so long, the database counts as having been away for everybody."""
HAND_OVER_MS: Final = 2_000
LOST_OWNER_SILENCE_MS: Final = (TIMEOUT_SECONDS_MAX + 1) * 1_000
"""For how long a lost owner may still have requests on their way, and a little more."""
SHARDS_OWNED_AGAIN_MS: Final = 15_000
"""After a worker died, and while the database is up, the others own its shards by then."""

# Relations that must hold between them.
assert EVENT_BYTES_MAX_DEFAULT <= EVENT_BYTES_MAX_LIMIT <= COMMIT_BYTES_MAX
assert ANSWER_BODY_BYTES_KEPT_MAX <= ANSWER_BODY_BYTES_READ_MAX
assert ENDPOINT_CONCURRENCY_MAX < CONCURRENCY_MAX_DEFAULT * SLOW_SLOTS_SHARE
assert TRIALS_IN_FLIGHT_OF_HOST_MAX < HOST_CONCURRENCY_MAX
assert TRIALS_IN_FLIGHT_OF_HOST_MAX < TRIALS_IN_FLIGHT_MAX < CONCURRENCY_MAX_DEFAULT
# What one event brings to one callback URL fits into one ordinary transaction.
assert EQUAL_SUBSCRIPTIONS_MAX_DEFAULT <= COMMIT_DELIVERIES_MAX
assert RESULTS_MAX <= RESULTS_UNRECORDED_MAX
assert COMMIT_EVENTS_MAX <= BATCH_EVENTS_MAX <= PUBLISHES_WAITING_MAX
assert BATCH_BYTES_MAX <= PUBLISH_BYTES_WAITING_MAX
assert TRANSACTION_MS_MAX < PUBLISHES_GATHER_MS * 10 < RESULT_UNRECORDED_AGE_MS_MAX < COMMIT_MS_MAX
assert TRANSACTION_MS_MAX < BUSY_TIMEOUT_MS
# Who waits for a lock outlives a holder that was stopped.
assert TRANSACTION_MS_MAX < IDLE_IN_TRANSACTION_MS < BUSY_TIMEOUT_MS < STATEMENT_MS
assert COMMIT_MS_MAX < COMMIT_SILENT_MS
assert RETAINED_ROWS_MAX <= SETTLED_ROWS_MAX <= REPLAYED_ROWS_WAITING_MAX
assert ENDPOINT_ROWS_MIN <= ENDPOINT_WINDOW_ROWS_MAX // 2
assert ENDPOINT_WINDOW_ROWS_MAX <= DUE_ROWS_IN_MEMORY_MAX <= ROWS_IN_MEMORY_MAX
assert HANDSHAKES_MAX <= ENDPOINT_CONCURRENCY_MAX <= HOST_CONCURRENCY_MAX
assert CONCURRENCY_MAX_DEFAULT <= CONNECTIONS_KEPT_MAX
assert LOOKUP_SECONDS_MAX <= TIMEOUT_SECONDS_DEFAULT
# The reserve holds what is in flight when the disk gets full, many times over.
assert RESULTS_UNRECORDED_MAX * (ANSWER_BODY_BYTES_KEPT_MAX + 4_096) * 10 < DISK_RESERVE_BYTES
assert PROBE_INTERVAL_MS_MIN <= PROBE_INTERVAL_MS_MAX
assert SCHEMA_ALL_FAULTS_STEPS_MAX < SCHEMA_STEPS_AT_ONCE < SCHEMA_STEPS_MAX
assert FILTER_STEPS_MIN <= FILTER_STEPS_MAX <= FILTER_STEPS_OF_EVENT_MAX
assert TIMEOUT_SECONDS_MIN <= TIMEOUT_SECONDS_DEFAULT <= TIMEOUT_SECONDS_MAX
assert STREAMS_PER_KEY_MAX <= STREAMS_PER_TENANT_MAX <= STREAMS_MAX
assert STREAM_POLL_MS < STREAM_RETRY_MS
assert ROLL_UP_SECONDS_KEPT_MS % (ROLL_UP_MINUTE_SECONDS * 1_000) == 0
assert ROLL_UP_MINUTES_KEPT_MS % (ROLL_UP_HOUR_SECONDS * 1_000) == 0
# Even with the worst clocks a worker has stopped before others may take over.
assert (LEASE_MS - LEASE_MARGIN_MS) * (1 + CLOCK_DRIFT_SHARE_MAX) < LEASE_MS * (
    1 - CLOCK_DRIFT_SHARE_MAX
)
# Two renewals may fail by running out of time, and the third still comes in time.
assert (
    LEASE_RENEW_MS + 3 * COORDINATION_TIMEOUT_MS + 2 * COORDINATION_RETRY_MS
    < LEASE_MS - LEASE_MARGIN_MS
)
# A death is seen at the next renewal after the lease, and then takes two quick statements.
assert LEASE_MS / (1 - CLOCK_DRIFT_SHARE_MAX) + LEASE_RENEW_MS < SHARDS_OWNED_AGAIN_MS
# An outage that nobody notices is too short for a session to expire in it.
assert COORDINATION_OUTAGE_MS + LEASE_RENEW_MS + COORDINATION_TIMEOUT_MS < LEASE_MS * (
    1 - CLOCK_DRIFT_SHARE_MAX
)
