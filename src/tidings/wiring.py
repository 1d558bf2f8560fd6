"""The one place that knows everybody: settings become a store, an engine and a server."""

import asyncio
import gc
import hashlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

import uvicorn
import uvloop

from tidings import __version__, logs
from tidings.api.app import create_app
from tidings.api.bounded_http import BoundedHttp
from tidings.api.services import ApiSettings, Services
from tidings.api.wire.lifecycle import lifecycle_data
from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules
from tidings.core.egress_proxy import EgressProxy
from tidings.core.payload import Payloads
from tidings.engine.engine import Engine
from tidings.engine.sending import Sender
from tidings.key_files import install_next_key, read_or_make_key, write_private
from tidings.operations.access import Access
from tidings.operations.audit import log_audited
from tidings.operations.catalogue import Catalogue
from tidings.operations.event_data import EventDataReading
from tidings.operations.event_streams import EventStreams
from tidings.operations.inspection import Inspection
from tidings.operations.publish import Publisher, PublishQuotas
from tidings.operations.replay import Replays
from tidings.operations.signing_secrets import SecretRules
from tidings.operations.statistics import Counting
from tidings.operations.subscriptions import SubscriptionRules, Subscriptions
from tidings.operations.tenants import Tenants
from tidings.operations.trials import Trials
from tidings.ports.store import StoreFull, StoreUnavailable
from tidings.settings import Settings
from tidings.storage.sealing import KEY_BYTES, Sealer
from tidings.storage.sql.store import SqlStore, WrongKey
from tidings.storage.sqlite import (
    DatabaseInUse,
    DatabaseTooNew,
    open_store,
)
from tidings.storage.sqlite.reencryption import key_fits
from tidings.system import SystemChance, SystemClock
from tidings.transport import HttpTransport

_LOG = logging.getLogger(__name__)
_SWITCH_SECONDS = 0.0005
_HTTP_DRAIN_SECONDS = 10
_BACKLOG = 2_048
_ALLOCATIONS_PER_COLLECTION = 50_000
EXIT_OK, EXIT_CANNOT_START = 0, 1


class CannotStart(Exception):
    """The server cannot start; the text says why, and what to do."""


_FAULTS_AT_START = (
    CannotStart,
    DatabaseInUse,
    DatabaseTooNew,
    OSError,
    StoreUnavailable,
    WrongKey,
)


def serve(settings: Settings, *, is_dev: bool) -> int:
    """Serve until SIGTERM or SIGINT; answers the exit code."""
    logs.configure(settings.log_level, settings.log_format)
    # The writing thread gives up Python's lock at each step; without this it would wait for 5 ms
    # beside a busy event loop every time it wants it back.
    sys.setswitchinterval(_SWITCH_SECONDS)
    _allow_open_files()
    # Whatever is written holds events or keys: it is for its owner alone.
    os.umask(0o077)
    try:
        uvloop.run(_serve(settings, is_dev=is_dev))
    except _FAULTS_AT_START as fault:
        sys.stderr.write(f"tidings: {fault}\n")
        return EXIT_CANNOT_START
    return EXIT_OK


async def _serve(settings: Settings, *, is_dev: bool) -> None:
    is_over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, is_over.set)
    # Bound first: a port that is taken must be known before anything is sent.
    listening = _listen(settings)
    async with running(settings, is_dev=is_dev) as services:
        server = _Server(
            uvicorn.Config(
                create_app(services),
                http=BoundedHttp,
                ws="none",
                loop="uvloop",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_HTTP_DRAIN_SECONDS,
            ),
            on_start=lambda: _greet(settings, is_dev=is_dev),
        )
        _spare_the_collector()
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        stopping = asyncio.create_task(is_over.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        # They would go on for ever; whoever listens is told to come back.
        services.streams.close()
        server.should_exit = True
        await serving


@asynccontextmanager
async def running(settings: Settings, *, is_dev: bool) -> AsyncIterator[Services]:
    """Everything but the HTTP server, running; it comes to rest in order at the end."""
    clock, chance = SystemClock(), SystemChance()
    data_dir = settings.data_dir
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = _encryption_key(settings, chance)
    async with AsyncExitStack() as rest:
        store = await _open_store(settings, key, chance)
        rest.push_async_callback(store.close)
        proxy = settings.egress_proxy_parts
        rules = _address_rules(settings, proxy, is_dev=is_dev)
        transport = await rest.enter_async_context(HttpTransport(rules, proxy=proxy))
        payloads = Payloads(settings.public_url, _derived(key, b"data addresses"))
        sender = Sender(transport, clock, chance, payloads, version=__version__)
        engine = Engine(
            store,
            sender,
            clock,
            chance,
            concurrency_max=settings.concurrency_max,
            disable_after_days=settings.disable_after_days,
            retention_days=settings.retention_days,
        )
        await engine.start()
        rest.push_async_callback(engine.stop)
        quotas = PublishQuotas(settings.events_per_second_max, settings.backlog_max)
        catalogue = Catalogue(store, clock, engine.telemetry.data_checked)
        await catalogue.load()
        publisher = Publisher(store, clock, chance, quotas, catalogue)
        publishing = asyncio.create_task(publisher.run())
        rest.push_async_callback(lambda: _finish(publisher, publishing))
        access = Access(
            store, clock, chance, requests_per_second=settings.key_requests_per_second_max
        )
        await rest.enter_async_context(_letting_in(access))
        store.on_commit(log_audited)
        if not is_dev:
            await _admit_administrator(settings, access)
        yield Services(
            settings=_api_settings(settings, key, is_dev=is_dev),
            access=access,
            publisher=publisher,
            subscriptions=Subscriptions(store, clock, chance, _subscription_rules(settings, rules)),
            trials=Trials(store, clock, chance, sender.trial, verification=settings.verification),
            inspection=Inspection(store),
            catalogue=catalogue,
            event_data=EventDataReading(
                store, clock, payloads, retention_days=settings.retention_days
            ),
            replays=Replays(store, clock, chance, engine.is_in_flight),
            tenants=Tenants(store, clock),
            counting=Counting(store, clock, engine.figures.unwritten),
            streams=_begin_streams(store, access, engine, rest),
            readiness=lambda: _reasons_not_ready(store),
            metrics=engine.telemetry.exposition,
        )


def _api_settings(settings: Settings, key: bytes, *, is_dev: bool) -> ApiSettings:
    return ApiSettings(
        public_url=settings.public_url,
        cursor_key=_derived(key, b"cursors"),
        version=__version__,
        is_dev=is_dev,
        event_bytes_max=settings.event_bytes_max,
    )


def _begin_streams(
    store: SqlStore, access: Access, engine: Engine, rest: AsyncExitStack
) -> EventStreams:
    """Let people listen, until everything comes to rest."""
    streams = EventStreams(store, access)
    running = asyncio.create_task(streams.run())
    rest.push_async_callback(lambda: _finish(streams, running))
    engine.telemetry.gauge(
        "tidings_streams", "Streams of events that are open.", lambda: streams.open_count
    )
    return streams


class _Server(uvicorn.Server):
    """uvicorn's server, but for signals: those are ours, because more than it must come to rest."""

    def __init__(self, config: uvicorn.Config, *, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        self._on_start()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def _allow_open_files() -> None:
    """Let the process open as many files and sockets as the system lets it, not the usual 1,024."""
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))


def _spare_the_collector() -> None:
    """Keep the garbage collector from walking through what lives as long as the process.

    An event makes some dozens of objects and no cycles, so the usual 700 allocations between two
    collections would mean a collection every few events.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION, 20, 50)


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=_BACKLOG)
    except OSError as fault:
        raise CannotStart(
            f"cannot listen on {settings.host} port {settings.port}: {fault.strerror}"
        ) from fault


def _encryption_key(settings: Settings, chance: SystemChance) -> bytes:
    if settings.encryption_key is not None:
        return settings.encryption_key_bytes
    path = settings.encryption_key_path
    install_next_key(path, lambda key: key_fits(settings.database_path, key))
    if not path.exists() and settings.database_path.exists():
        raise CannotStart(
            f"the key {path} is missing, and the database is encrypted with it; restore the file, "
            "or set TIDINGS_ENCRYPTION_KEY"
        )
    return read_or_make_key(path, lambda: chance.key_bytes(KEY_BYTES))


async def _open_store(settings: Settings, key: bytes, chance: SystemChance) -> SqlStore:
    return await open_store(
        settings.database_path,
        sealer=Sealer(key),
        chance=chance,
        lifecycle_data=lifecycle_data,
    )


def _derived(key: bytes, purpose: bytes) -> bytes:
    """A key of its own for a purpose, the same on all servers of one database."""
    return hashlib.sha256(b"tidings " + purpose + key).digest()


def _address_rules(settings: Settings, proxy: EgressProxy | None, *, is_dev: bool) -> AddressRules:
    own = urlsplit(settings.public_url)
    own_port = own.port or (443 if own.scheme == "https" else 80)
    origins = {(own.hostname or settings.host, own_port)}
    if proxy is not None:
        origins.add((proxy.host, proxy.port))
    return AddressRules(
        allowed_networks=settings.allowed_networks + (LOOPBACK_NETWORKS if is_dev else ()),
        denied_networks=settings.denied_networks,
        allowed_hosts=frozenset(one.lower() for one in settings.allowed_callback_hosts),
        allowed_ports=frozenset(settings.allowed_ports),
        own_origins=frozenset(origins),
        allow_http=settings.allow_http or is_dev,
        are_names_resolved_elsewhere=proxy is not None,
    )


def _subscription_rules(settings: Settings, addresses: AddressRules) -> SubscriptionRules:
    return SubscriptionRules(
        addresses,
        SecretRules(are_strong_only=settings.require_strong_secrets),
        settings.subscriptions_max,
        settings.verification,
        settings.equal_subscriptions_max,
    )


async def _admit_administrator(settings: Settings, access: Access) -> None:
    """See that there is an admin key: the one that is set, or a new one on a fresh database."""
    if settings.admin_key is not None:
        await access.admit_administrator(settings.admin_key.get_secret_value())
    elif not access.has_keys():
        key = await access.admit_administrator()
        path = settings.admin_key_path
        write_private(path, key + "\n")
        _say(f"The admin key, shown this once and kept in {path}:\n\n    {key}\n")


async def _finish(verb: Publisher | EventStreams, running: asyncio.Task[None]) -> None:
    verb.close()
    await running


@asynccontextmanager
async def _letting_in(access: Access) -> AsyncIterator[None]:
    """Let keys in; what was not yet put down of their use is put down at the end."""
    await access.load()
    noting = asyncio.create_task(access.run())
    try:
        yield
    finally:
        noting.cancel()
        with suppress(StoreUnavailable):
            await access.note_uses()


async def _reasons_not_ready(store: SqlStore) -> list[str]:
    try:
        await store.check()
    except StoreFull as fault:
        _LOG.warning("not ready: %s", fault)
        return [str(fault)]
    except StoreUnavailable as fault:
        _LOG.warning("not ready: %s", fault)
        return ["the database cannot be used at the moment"]
    return []


def _greet(settings: Settings, *, is_dev: bool) -> None:
    _say(f"Tidings {__version__} listens on {settings.public_url}")
    if is_dev:
        _say("DEVELOPMENT MODE: no key is needed, http:// and loopback callback URLs are allowed.")
        _say("Never let others reach this server.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
