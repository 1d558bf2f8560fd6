"""The clients of a world: what publishers and subscribers do, drawn from the seed.

Each does what a careful client does: it names what it asks, and repeats it until it has an answer.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import msgspec

from simulation import facts
from simulation.calls import Calls
from simulation.chance import stream
from simulation.extras import with_filter, with_format
from simulation.floods import Flooding
from simulation.plan import HOUR, Plan
from simulation.process import Process
from simulation.workload import SubscriptionKind, an_event_type, publication_of
from tidings.core.delivery import DeliveryStatus
from tidings.core.refusals import QuotaExceeded, Unavailable
from tidings.core.subscription import Subscription
from tidings.operations.access import DEVELOPER
from tidings.operations.publish import Publication
from tidings.operations.subscriptions import IdempotentRequest
from tidings.operations.wish import Wish
from tidings.ports.records import DeliveryFilter, DeliveryRecord, ReplayScope

_LISTED: Final = 100
_MID_FLIGHT_SHARE: Final = 0.4


@dataclass
class Known:
    """A subscription as its client knows it."""

    subscription_id: str
    tenant_id: str
    number: int
    is_over: bool = False


class Clients:
    """Everybody who calls the server."""

    def __init__(self, plan: Plan, calls: Calls, draws: random.Random, hosts: list[str]) -> None:
        self.published: list[Publication] = []
        self.subscriptions: list[Known] = []
        self.unfinished = 0
        self._plan = plan
        self._calls = calls
        self._draws = draws
        self._extra_draws = stream(plan.seed, "extra draws")
        self._hosts = hosts
        self._urls = 0
        self._events = 0

    def begin(self) -> None:
        """Plan the whole of the first phase."""
        plan, draws = self._plan, self._draws
        for number in range(plan.subscriptions):
            at = 0.0 if number < 2 else draws.uniform(0, plan.safety_hours / 2) * HOUR
            self._at(at, self._subscribe, f"tenant-{number % plan.tenants}")
        left = plan.events
        while left > 0:
            size = min(left, draws.choice((1, 1, 1, 2, 5, 10, 30)))
            left -= size
            at = draws.uniform(0.01, plan.safety_hours) * HOUR
            self._at(at, self._publish_burst, size)
        for verb in plan.verbs:
            for _ in range(draws.choice((1, 2, 4))):
                at = draws.uniform(0.02, plan.safety_hours) * HOUR
                self._at(at, getattr(self, f"_{verb}"))

        if plan.flood is not None:
            flooding = Flooding(plan.flood, self._create, self._publish, self._at)
            self._at(0.0, flooding.prepare)

    async def wind_down(self) -> None:
        """The second phase: resume whatever is paused, so that everything can end."""
        for known in self.subscriptions:
            await self._turn(known, "resume")

    def _at(self, at: float, act: Callable[..., Any], *arguments: Any) -> None:
        loop = asyncio.get_running_loop()
        self.unfinished += 1
        loop.call_at(at, lambda: loop.create_task(self._act(act, *arguments)))

    async def _act(self, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            await act(*arguments)
        finally:
            self.unfinished -= 1

    # Publishing.

    async def _publish_burst(self, size: int) -> None:
        if self._plan.verbs and self._draws.random() < _MID_FLIGHT_SHARE:
            # Whatever else is done has its surprises while deliveries are on their way.
            verb = self._draws.choice(self._plan.verbs)
            now = asyncio.get_running_loop().time()
            self._at(now + self._draws.uniform(0, 3.0), getattr(self, f"_{verb}"))
        tenant_id = f"tenant-{self._draws.randrange(self._plan.tenants)}"
        events = [self._new_event(tenant_id) for _ in range(size)]
        if "batches" in self._plan.features:
            await self._publish(events)
            return
        for event in events:
            self.unfinished += 1
            asyncio.get_running_loop().create_task(self._act(self._publish, [event]))
            if self._draws.random() < 0.5:
                await asyncio.sleep(self._draws.uniform(0, 2.0))

    async def _publish(self, events: list[Publication]) -> None:
        self.published += events
        left = events
        while left:
            call = await self._calls.until_told(
                "publish",
                events[0].tenant_id,
                partial(_publish_in, events=left),
                events=left,
            )
            # Of a batch, each item stands by itself: what could not be stored is repeated.
            answers = call.answer or []
            left = [
                one
                for one, answer in zip(left, answers, strict=False)
                if isinstance(answer, Unavailable | QuotaExceeded)
            ]
            if any(isinstance(answer, QuotaExceeded) for answer in answers):
                await asyncio.sleep(self._extra_draws.choice((1.0, 60.0, 1_800.0)))
        if self._draws.random() < 0.1:
            # A publisher that is not sure asks again.
            await asyncio.sleep(self._draws.uniform(0, 600))
            await self._calls.once(
                "publish",
                events[0].tenant_id,
                lambda process: process.publisher.publish(events),
                events=events,
            )

    def _new_event(self, tenant_id: str) -> Publication:
        self._events += 1
        return publication_of(self._events, tenant_id, self._plan.features, self._draws)

    async def _conflict(self) -> None:
        """Publish something else under an id that is taken."""
        if self.published:
            taken = self._draws.choice(self.published)
            other = msgspec.structs.replace(taken, data=b'{"other":true}')
            await self._calls.until_told(
                "publish",
                taken.tenant_id,
                lambda process: process.publisher.publish([other]),
                events=[other],
            )

    # Subscribing.

    async def _subscribe(self, tenant_id: str) -> None:
        kind = SubscriptionKind.drawn(self._plan.features, self._draws)
        wish = self._plan.extras.adorned(kind.wish(self._new_url()), self._extra_draws)
        created = await self._create(tenant_id, wish, kind.secret)
        if created is not None:
            self.subscriptions.append(Known(created, tenant_id, len(self.subscriptions)))

    async def _create(self, tenant_id: str, wish: Wish, secret: str) -> str | None:
        key = f"subscribe-{wish.callback_url}"
        call = await self._calls.until_told(
            "subscribe",
            tenant_id,
            lambda process: process.subscriptions.create(
                tenant_id,
                wish,
                secret=secret,
                request=IdempotentRequest(key, hashlib.sha256(key.encode()).digest(), _remembered),
            ),
            url=wish.callback_url,
            secret=secret,
        )
        if call.answer is None:
            return None
        if isinstance(call.answer, Subscription):
            return call.answer.subscription_id
        answer: bytes = call.answer.answer
        return answer.decode()

    def _new_url(self) -> str:
        self._urls += 1
        return f"https://{self._draws.choice(self._hosts)}/in/{self._urls}"

    async def _turn(self, known: Known, verb: str) -> facts.Call:
        return await self._calls.until_told(
            verb,
            known.tenant_id,
            lambda process: getattr(process.subscriptions, verb)(
                known.tenant_id, known.subscription_id
            ),
            subscription_id=known.subscription_id,
        )

    def _any(self) -> Known | None:
        live = [known for known in self.subscriptions if not known.is_over]
        return self._draws.choice(live) if live else None

    async def _pause(self) -> None:
        if (known := self._any()) is not None:
            await self._turn(known, "pause")
            await asyncio.sleep(self._draws.choice((0.1, 10.0, 600.0, 20_000.0)))
            await self._turn(known, "resume")

    async def _disable(self) -> None:
        if (known := self._any()) is not None:
            await self._turn(known, "disable")
            await asyncio.sleep(self._draws.choice((0.1, 10.0, 600.0, 20_000.0)))
            await self._turn(known, "resume")
            if self._draws.random() < 0.5:
                await self._replay(known, "missed")

    async def _delete(self) -> None:
        known = self._any()
        if known is not None and len(self.subscriptions) > 1:
            known.is_over = True
            await self._turn(known, "delete")
            await self._subscribe(known.tenant_id)

    async def _edit(self, verb: str, reword: Callable[[Wish], Wish], **about: Any) -> None:
        if (known := self._any()) is not None:
            await self._calls.until_told(
                verb,
                known.tenant_id,
                lambda process: process.subscriptions.change(
                    known.tenant_id, known.subscription_id, reword
                ),
                subscription_id=known.subscription_id,
                **about,
            )

    async def _edit_url(self) -> None:
        url = self._new_url()
        await self._edit("edit_url", lambda wish: replace(wish, callback_url=url), url=url)

    async def _edit_policy(self) -> None:
        policy = SubscriptionKind.drawn(self._plan.features, self._draws).policy
        await self._edit("edit_policy", lambda wish: replace(wish, retry_policy=policy))

    async def _edit_rate(self) -> None:
        rate = self._draws.choice((None, 0.02, 1.0, 20.0))
        await self._edit("edit_rate", lambda wish: replace(wish, rate_limit_per_second=rate))

    async def _edit_patterns(self) -> None:
        patterns = self._draws.choice(("*", "order.*", an_event_type(self._draws)))
        await self._edit("edit_patterns", lambda wish: replace(wish, event_type=patterns))

    async def _edit_filter(self) -> None:
        await self._edit("edit_filter", lambda wish: with_filter(wish, self._extra_draws))

    async def _edit_format(self) -> None:
        await self._edit("edit_format", lambda wish: with_format(wish, self._extra_draws))

    async def _edit_ordering(self) -> None:
        await self._edit(
            "edit_ordering",
            lambda wish: replace(wish, ordering_enabled=not wish.ordering_enabled),
        )

    async def _rotate(self) -> None:
        if (known := self._any()) is not None:
            secret = f"whsec_plain-{self._draws.randrange(1 << 40)}"
            overlap = self._draws.choice((0, 0, 60, 3_600, 86_400))
            await self._calls.until_told(
                "rotate",
                known.tenant_id,
                lambda process: process.subscriptions.rotate(
                    known.tenant_id,
                    known.subscription_id,
                    secret=secret,
                    overlap_seconds=overlap,
                ),
                subscription_id=known.subscription_id,
                secret=secret,
                overlap_seconds=overlap,
            )

    # Deliveries.

    async def _some_deliveries(self, status: DeliveryStatus | None) -> list[DeliveryRecord]:
        tenant_id = f"tenant-{self._draws.randrange(self._plan.tenants)}"
        call = await self._calls.until_told(
            "list",
            tenant_id,
            lambda process: process.inspection.deliveries(
                DeliveryFilter(tenant_id, status), before=None, limit=_LISTED
            ),
        )
        found: list[DeliveryRecord] = call.answer or []
        self._draws.shuffle(found)
        return found[: self._draws.choice((1, 1, 5))]

    async def _on_delivery(self, verb: str, of: DeliveryRecord, ask: str) -> None:
        await self._calls.until_told(
            verb,
            of.tenant_id,
            lambda process: getattr(process.replays, ask)(of.tenant_id, of.delivery_id),
            delivery_id=of.delivery_id,
        )

    async def _retry(self) -> None:
        for one in await self._some_deliveries(None):
            await self._on_delivery("retry", one, "retry")

    async def _cancel(self) -> None:
        for one in await self._some_deliveries(DeliveryStatus.PENDING):
            await self._on_delivery("cancel", one, "cancel")

    async def _discard(self) -> None:
        for one in await self._some_deliveries(DeliveryStatus.DEAD_LETTERED):
            await self._on_delivery("discard", one, "discard")

    async def _replay_dead(self) -> None:
        for one in await self._some_deliveries(DeliveryStatus.DEAD_LETTERED):
            await self._on_delivery("replay_dead", one, "replay_dead_letter")

    async def _replay_event(self) -> None:
        if self.published:
            event = self._draws.choice(self.published)
            if event.event_id is not None:
                event_id = event.event_id
                known = self._any() if self._draws.random() < 0.5 else None
                only = None
                if known is not None and known.tenant_id == event.tenant_id:
                    only = known.subscription_id
                await self._calls.until_told(
                    "replay_event",
                    event.tenant_id,
                    lambda process: process.replays.replay_event(
                        event.tenant_id, event_id, subscription_id=only
                    ),
                    event_id=event_id,
                    subscription_id=only,
                )

    async def _replay_many(self) -> None:
        if (known := self._any()) is not None:
            await self._replay(known, self._draws.choice(("dead", "all", "missed")))

    async def _replay(self, known: Known, only: Any) -> None:
        scope = ReplayScope(known.tenant_id, only, known.subscription_id)
        await self._calls.until_told(
            "replay_many",
            known.tenant_id,
            lambda process: process.replays.replay_many(scope),
            subscription_id=known.subscription_id,
            only=only,
        )

    # Erasing.

    async def _erase_data(self) -> None:
        if self.published:
            event = self._draws.choice(self.published)
            if event.event_id is not None:
                event_id = event.event_id
                await self._calls.until_told(
                    "erase_data",
                    event.tenant_id,
                    lambda process: process.replays.erase_event_data(event.tenant_id, event_id),
                    event_id=event_id,
                )

    async def _erase_tenant(self) -> None:
        if self._plan.tenants == 1:
            return
        tenant_id = f"tenant-{self._plan.tenants - 1}"
        for known in self.subscriptions:
            known.is_over |= known.tenant_id == tenant_id
        await self._calls.until_told(
            "erase_tenant",
            tenant_id,
            lambda process: process.tenants.erase(DEVELOPER, tenant_id),
        )
        await self._subscribe(tenant_id)


async def _publish_in(process: Process, events: list[Publication]) -> Any:
    return await process.publisher.publish(events)


def _remembered(subscription: Subscription) -> bytes:
    return subscription.subscription_id.encode()
