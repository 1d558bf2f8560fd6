"""A flood: one tenant's backlog at receivers that take their time, beside a tenant with fast ones.

It is drawn apart from everything else, so that a world without a flood knows nothing of it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from simulation.chance import stream
from tidings.core.retry import RetryPolicy
from tidings.operations.publish import Publication
from tidings.operations.wish import Wish

_HOUR: Final = 3_600.0
_APART_SECONDS: Final = 30.0
_HEADSTART_SECONDS: Final = 5.0
_BATCH: Final = 100
_SHARE: Final = 0.12
_SLOTS: Final = (8, 16)
_TIMEOUT_SECONDS: Final = 15


@dataclass(frozen=True)
class Flood:
    """What floods: how the loud tenant's receivers behave, and how much everybody has to do."""

    mood: str
    loud_receivers: int
    loud_events: int
    calm_events: int
    calm_batch: int
    concurrency_max: int
    is_undisturbed: bool
    at_hours: tuple[float, ...]

    @property
    def moods(self) -> dict[str, tuple[str, ...]]:
        """The receivers by their hosts."""
        loud = {f"loud{number}.example.com": (self.mood,) for number in range(self.loud_receivers)}
        return {**loud, "calm.example.com": ("well",)}

    def wishes(self) -> Iterator[tuple[str, Wish]]:
        """The subscriptions, each with its tenant."""
        for number, host in enumerate(self.moods):
            tenant_id = host.split(".", 1)[0].rstrip("0123456789")
            wish = Wish(
                f"flood.{tenant_id}",
                f"https://{host}/flood/{number}",
                retry_policy=RetryPolicy(()),
                timeout_seconds=_TIMEOUT_SECONDS,
            )
            yield tenant_id, wish

    def events(self, number: int) -> list[Publication]:
        """The events of the loud tenant in one flood, and of the calm one right behind them."""
        return [
            Publication(
                tenant_id,
                f"flood.{tenant_id}",
                b'{"flood":%d}' % place,
                event_id=f"evt_flood_{tenant_id}_{number}_{place}",
            )
            for tenant_id, count in (("loud", self.loud_events), ("calm", self.calm_events))
            for place in range(count)
        ]


class Flooding:
    """Brings a flood about, by what clients can do."""

    def __init__(
        self,
        flood: Flood,
        create: Callable[[str, Wish, str], Awaitable[Any]],
        publish: Callable[[list[Publication]], Awaitable[None]],
        at: Callable[..., None],
    ) -> None:
        self._flood = flood
        self._create = create
        self._publish = publish
        self._at = at

    async def prepare(self) -> None:
        """Subscribe, and plan when the flood comes."""
        for tenant_id, wish in self._flood.wishes():
            await self._create(tenant_id, wish, f"whsec_flood-{wish.callback_url}")
        for number, hours in enumerate(self._flood.at_hours):
            self._at(hours * _HOUR, self._come, self._flood.events(number))

    async def _come(self, events: list[Publication]) -> None:
        """First one event to each, so that the scheduler knows how they answer; then all."""
        loud, calm = ([one for one in events if one.tenant_id == name] for name in ("loud", "calm"))
        await asyncio.gather(self._publish(loud[:1]), self._publish(calm[:1]))
        at = asyncio.get_running_loop().time() + _APART_SECONDS
        for some, size, every in ((loud, _BATCH, 0.0), (calm, self._flood.calm_batch, 10.0)):
            for place, first in enumerate(range(1, len(some), size)):
                self._at(at + place * every, self._publish, some[first : first + size])
            at += _HEADSTART_SECONDS


def flood_of(seed: int) -> Flood | None:
    """The flood of a seed; most have none."""
    draws = stream(seed, "the flood")
    if draws.random() >= _SHARE:
        return None
    is_hanging = draws.random() < 0.5
    return Flood(
        mood="hanging" if is_hanging else "sluggish",
        loud_receivers=12 if is_hanging else 1,
        loud_events=10 if is_hanging else 240,
        calm_events=9 if is_hanging else 101,
        calm_batch=1 if is_hanging else _BATCH,
        concurrency_max=draws.choice(_SLOTS),
        is_undisturbed=draws.random() < 0.7,
        at_hours=tuple(draws.uniform(0.1, 20.0) for _ in range(2)),
    )
