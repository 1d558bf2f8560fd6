"""The API in the test's own process: real store, no engine, so that deliveries stay as they are."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from tests.support import tally
from tests.support.jumping_clock import JumpingClock
from tidings.api.app import create_app
from tidings.api.services import ApiSettings, Services
from tidings.api.wire.lifecycle import lifecycle_data
from tidings.core.addresses import AddressRules
from tidings.core.attempt import Answer, Attempt, Outcome, error_class_of, outcome_of
from tidings.core.catalogue import CheckOutcome
from tidings.core.delivery import DeadLetterReason, DeliveryStatus, Ending
from tidings.core.payload import Payloads
from tidings.core.subscription import Subscription
from tidings.core.verification import Verification
from tidings.engine.open_figures import OpenFigures
from tidings.operations.access import DEVELOPER, Access, Scope
from tidings.operations.catalogue import Catalogue
from tidings.operations.event_data import EventDataReading
from tidings.operations.event_streams import EventStreams
from tidings.operations.inspection import Inspection
from tidings.operations.publish import NO_QUOTAS, Publisher, PublishQuotas
from tidings.operations.replay import Replays
from tidings.operations.signing_secrets import SecretRules
from tidings.operations.statistics import Counting
from tidings.operations.subscriptions import SubscriptionRules, Subscriptions
from tidings.operations.tenants import Tenants
from tidings.operations.trials import Trials
from tidings.ports.store import Result
from tidings.storage.sealing import Sealer
from tidings.storage.sql.store import SqlStore
from tidings.storage.sqlite import open_store
from tidings.system import SystemChance

PUBLIC_URL = "https://api.example.com"
WISH = {
    "eventType": "order.shipped",
    "callbackUrl": "https://client.example.com/webhooks/order-shipped",
    "secret": "whsec_abc123",
}
EVENT = {"eventType": "order.shipped", "data": {"orderId": "or_12345", "trackingNumber": "1Z999"}}


class ApiWorld:
    """The application, what stands behind it, and clients with keys to call it."""

    def __init__(
        self,
        store: SqlStore,
        clock: JumpingClock,
        settings: ApiSettings,
        *,
        quotas: PublishQuotas,
        requests_per_second: int | None,
        verification: Verification,
    ) -> None:
        chance = SystemChance()
        self.store = store
        self.clock = clock
        self.chance = chance
        self.payloads = Payloads(settings.public_url, b"a" * 32)
        self.in_flight: set[str] = set()
        self.trials_sent: list[tuple[Subscription, str, bytes]] = []
        self.answer: Callable[[Subscription, bytes], Answer] = lambda *_: Answer(200, body=b"ok")
        self.reasons_not_ready: list[str] = []
        self.access = Access(store, clock, chance, requests_per_second=requests_per_second)
        self.checks: Counter[CheckOutcome] = Counter()
        self.catalogue = Catalogue(store, clock, lambda outcome: self.checks.update([outcome]))
        self.publisher = Publisher(store, clock, chance, quotas, self.catalogue)
        self.streams = EventStreams(store, self.access)
        rules = SubscriptionRules(AddressRules(), SecretRules(), 1_000, verification)
        self.figures = OpenFigures(store, clock)
        store.on_commit(self.figures.committed)
        self.services = Services(
            settings=settings,
            access=self.access,
            publisher=self.publisher,
            subscriptions=Subscriptions(store, clock, chance, rules),
            trials=Trials(store, clock, chance, self._send_trial, verification=verification),
            inspection=Inspection(store),
            catalogue=self.catalogue,
            event_data=EventDataReading(store, clock, self.payloads, retention_days=30),
            replays=Replays(store, clock, chance, self.in_flight.__contains__),
            tenants=Tenants(store, clock),
            counting=Counting(store, clock, self.figures.unwritten),
            streams=self.streams,
            readiness=self._readiness,
            metrics=lambda: b"tidings_attempts_total 0\n",
        )
        self.app = create_app(self.services)
        self.clients: list[httpx2.AsyncClient] = []
        self.client = self.caller()

    def caller(
        self, key: str | None = None, *, is_counted: bool = True, **options: Any
    ) -> httpx2.AsyncClient:
        """A client that calls with a key, or without one."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app),
            base_url="http://localhost:8080",
            headers=headers,
            event_hooks={"response": [_count] if is_counted else []},
            **options,
        )
        self.clients.append(client)
        return client

    async def key(self, *scopes: str, tenant_id: str | None = None) -> str:
        """A new key with these scopes."""
        _, text = await self.access.create(
            DEVELOPER, name="test", scopes=scopes or [Scope.ADMIN], tenant_id=tenant_id
        )
        return text

    async def subscribe(self, **members: Any) -> Any:
        """A new subscription."""
        answer = await self.client.post("/webhook-subscriptions", json=WISH | members)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def publish(self, **members: Any) -> Any:
        """A new event."""
        answer = await self.client.post("/events", json=EVENT | members)
        assert answer.status_code == 202, answer.text
        return answer.json()

    async def deliveries(self, **parameters: Any) -> list[Any]:
        """Deliveries as the API lists them."""
        answer = await self.client.get("/deliveries", params={"limit": 200} | parameters)
        assert answer.status_code == 200, answer.text
        items: list[Any] = answer.json()["items"]
        return items

    async def finish(self, subscription_id: str, *, delivered: bool = False) -> list[str]:
        """End all deliveries of a subscription, as dead letters unless told; answers their ids."""
        page = await self.store.read_page(subscription_id, after_seq=0, limit=1_000)
        ending = Ending(DeliveryStatus.DEAD_LETTERED, DeadLetterReason.ATTEMPTS_EXHAUSTED)
        if delivered:
            ending = Ending(DeliveryStatus.DELIVERED)
        answer = Answer(status_code=200 if delivered else 500)
        outcome = Outcome.DELIVERED if delivered else Outcome.FAILED
        now_ms = self.clock.now_ms()
        results = []
        for row in page.rows:
            attempt = _attempt(
                self.chance.new_id("att", now_ms), row.delivery_id, answer, outcome, now_ms
            )
            tried = msgspec.structs.replace(row, attempt_count=row.attempt_count + 1)
            results.append(Result(attempt, tried, ending))
        await self.store.record_results(results)
        return [row.delivery_id for row in page.rows]

    async def _send_trial(self, subscription: Subscription, event_id: str, body: bytes) -> Attempt:
        self.trials_sent.append((subscription, event_id, body))
        answer = self.answer(subscription, body)
        now_ms = self.clock.now_ms()
        attempt_id = self.chance.new_id("att", now_ms)
        return _attempt(attempt_id, "", answer, outcome_of(answer), now_ms)

    async def _readiness(self) -> list[str]:
        return self.reasons_not_ready


async def _count(answer: httpx2.Response) -> None:
    code = None
    if answer.is_error:
        await answer.aread()
        code = answer.json().get("code") if answer.content else None
    tally.count_answer(answer.status_code, code)


def _attempt(
    attempt_id: str, delivery_id: str, answer: Answer, outcome: Outcome, now_ms: int
) -> Attempt:
    return Attempt(
        attempt_id=attempt_id,
        delivery_id=delivery_id,
        round=0,
        number=1,
        started_at_ms=now_ms,
        duration_ms=7,
        outcome=outcome,
        status_code=answer.status_code,
        error_class=error_class_of(answer),
        error_detail=answer.error_detail,
        sent_by="0.1.0",
        custom_header_names=("X-Token",),
        response_headers=(("content-type", "text/plain"), ("set-cookie", "session=1")),
        response_body=answer.body,
    )


@asynccontextmanager
async def api_world(
    folder: Path,
    *,
    is_dev: bool = True,
    quotas: PublishQuotas = NO_QUOTAS,
    requests_per_second: int | None = None,
    verification: Verification = Verification.OFF,
    **options: Any,
) -> AsyncIterator[ApiWorld]:
    """Everything behind the API on fresh data."""
    store = await open_store(
        folder / "tidings.db",
        sealer=Sealer(b"k" * 32),
        chance=SystemChance(),
        lifecycle_data=lifecycle_data,
    )
    settings = ApiSettings(PUBLIC_URL, b"c" * 32, "test", is_dev=is_dev, **options)
    world = ApiWorld(
        store,
        JumpingClock(),
        settings,
        quotas=quotas,
        requests_per_second=requests_per_second,
        verification=verification,
    )
    await world.access.load()
    await world.catalogue.load()
    publishing = asyncio.create_task(world.publisher.run())
    streaming = asyncio.create_task(world.streams.run())
    try:
        yield world
    finally:
        world.streams.close()
        await streaming
        world.publisher.close()
        await publishing
        for client in world.clients:
            await client.aclose()
        await store.close()
