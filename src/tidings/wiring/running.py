"""Everything but the HTTP server: the services of a process, by its role."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

from tidings import __version__
from tidings.api.services import ApiSettings, Services
from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules
from tidings.core.egress_proxy import EgressProxy
from tidings.core.payload import Payloads
from tidings.core.roll_up import RollUp
from tidings.engine.engine import Engine
from tidings.engine.sending import Sender
from tidings.engine.telemetry import Telemetry
from tidings.key_files import write_private
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
from tidings.storage.postgres import PostgresStore
from tidings.storage.sql.store import SqlStore
from tidings.system import SystemChance, SystemClock
from tidings.transport import HttpTransport
from tidings.wiring.faults import CannotStart
from tidings.wiring.saying import say
from tidings.wiring.stores import encryption_key, open_store

_LOG = logging.getLogger(__name__)


@asynccontextmanager
async def running(settings: Settings, *, is_dev: bool) -> AsyncIterator[Services]:
    """Everything but the HTTP server, running; it comes to rest in order at the end."""
    clock, chance = SystemClock(), SystemChance()
    data_dir = settings.data_dir
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = encryption_key(settings, chance)
    async with AsyncExitStack() as rest:
        store = await open_store(settings, key, clock, chance)
        rest.push_async_callback(store.close)
        proxy = settings.egress_proxy_parts
        rules = _address_rules(settings, proxy, is_dev=is_dev)
        transport = await rest.enter_async_context(HttpTransport(rules, proxy=proxy))
        payloads = Payloads(settings.public_url, _derived(key, b"data addresses"))
        sender = Sender(transport, clock, chance, payloads, version=__version__)
        engine = None
        if settings.role != "api":
            engine = _engine(settings, store, sender, clock, chance)
            await engine.start()
            rest.push_async_callback(engine.stop)
        telemetry = Telemetry() if engine is None else engine.telemetry
        if engine is None:
            store.on_commit(telemetry.committed)
        quotas = PublishQuotas(settings.events_per_second_max, settings.backlog_max)
        catalogue = Catalogue(store, clock, telemetry.data_checked)
        await catalogue.load()
        publisher = Publisher(store, clock, chance, quotas, catalogue)
        publishing = asyncio.create_task(publisher.run())
        rest.push_async_callback(lambda: _finish(publisher, publishing))
        access = Access(
            store, clock, chance, requests_per_second=settings.key_requests_per_second_max
        )
        await rest.enter_async_context(_letting_in(access))
        store.on_commit(log_audited)
        if not is_dev and settings.role != "worker":
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
            replays=Replays(
                store, clock, chance, _never if engine is None else engine.is_in_flight
            ),
            tenants=Tenants(store, clock),
            counting=Counting(
                store, clock, _nothing if engine is None else engine.figures.unwritten
            ),
            streams=_begin_streams(store, access, telemetry, rest),
            readiness=lambda: _reasons_not_ready(store),
            metrics=telemetry.exposition,
        )


def _engine(
    settings: Settings,
    store: SqlStore | PostgresStore,
    sender: Sender,
    clock: SystemClock,
    chance: SystemChance,
) -> Engine:
    engine = Engine(
        store,
        sender,
        clock,
        chance,
        concurrency_max=settings.concurrency_max,
        disable_after_days=settings.disable_after_days,
        retention_days=settings.retention_days,
    )
    if isinstance(store, PostgresStore):
        engine.share(store)
    return engine


def _never(_delivery_id: str) -> bool:
    """Whether an attempt is on its way: from here nobody sends any."""
    return False


def _nothing(_tenant_id: str, _subscription_id: str | None) -> list[RollUp]:
    """The figures that are not written yet: nobody counts any here."""
    return []


def _api_settings(settings: Settings, key: bytes, *, is_dev: bool) -> ApiSettings:
    return ApiSettings(
        public_url=settings.public_url,
        cursor_key=_derived(key, b"cursors"),
        version=__version__,
        is_dev=is_dev,
        event_bytes_max=settings.event_bytes_max,
    )


def _begin_streams(
    store: SqlStore, access: Access, telemetry: Telemetry, rest: AsyncExitStack
) -> EventStreams:
    """Let people listen, until everything comes to rest."""
    streams = EventStreams(store, access)
    running = asyncio.create_task(streams.run())
    rest.push_async_callback(lambda: _finish(streams, running))
    telemetry.gauge(
        "tidings_streams", "Streams of events that are open.", lambda: streams.open_count
    )
    return streams


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
        if settings.is_postgres:
            raise CannotStart(
                "the database has no API key yet: set TIDINGS_ADMIN_KEY at the first start"
            )
        key = await access.admit_administrator()
        path = settings.admin_key_path
        write_private(path, key + "\n")
        say(f"The admin key, shown this once and kept in {path}:\n\n    {key}\n")


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
