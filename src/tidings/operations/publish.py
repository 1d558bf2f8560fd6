"""Publishing: many requests, few transactions, and no answer before the commit is durable.

Whatever waits at the moment becomes one transaction (group commit). While one is on its way, and
for a few milliseconds after it began, the next gathers: a busy server commits large batches, an
idle one commits at once.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from tidings.core import limits
from tidings.core.event import (
    Accepted,
    AcceptResult,
    Conflicting,
    NewEvent,
    OverQuota,
    Unfitting,
    content_hash,
    frozen_body,
)
from tidings.core.rate import Rates
from tidings.core.refusals import (
    EventIdConflict,
    Fault,
    IdempotencyKeyReused,
    QuotaExceeded,
    Refusal,
    Unavailable,
    ValidationFailed,
)
from tidings.core.timestamp import format_timestamp
from tidings.operations.catalogue import Catalogue
from tidings.ports.clock import Chance, Clock
from tidings.ports.store import Store, StoreUnavailable

_RETRY_AFTER_SECONDS = 1
_NOT_STORED = "the event could not be stored; repeat it with the same id"
_NOT_VALID = "the event is not valid"
_NO_FIT = "the data do not fit the schema of this event type"
_TOO_FAR_AHEAD: Final = Fault("/occurredAt", "it lies more than a year ahead")
_NO_FAULTS: Final[list[tuple[Fault, ...]]] = [()]
_UNKNOWN: Final = Unavailable(_NOT_STORED)
"""Stands for a result until it is there."""


class Publication(msgspec.Struct, frozen=True, gc=False):
    """An event as a publisher gives it, already valid.

    `data` are the bytes of a JSON object as they came. `occurred_at` is normalised to UTC.
    `idempotency_key` names the publish where no `event_id` does: the header's value, and for a
    batch the item's place in it. `hops` counts how often the same was published anew on receipt.
    """

    tenant_id: str
    event_type: str
    data: bytes
    event_id: str | None = None
    occurred_at: str | None = None
    ordering_key: str | None = None
    idempotency_key: str | None = None
    hops: int = 0


@dataclass(frozen=True, slots=True)
class PublishQuotas:
    """What a tenant may do, as the operator decides; None is no limit.

    `backlog_max` are unfinished deliveries: while it has so many, it begins no further ones.
    """

    events_per_second: int | None = None
    backlog_max: int | None = None


NO_QUOTAS: Final = PublishQuotas()


class _Results(msgspec.Struct):
    """What became of the events of one call; `on_whole` is called when all are known."""

    on_whole: Callable[[list[AcceptResult | Exception]], None]
    found: list[AcceptResult | Exception]
    missing: int

    def put(self, place: int, result: AcceptResult | Exception) -> None:
        self.found[place] = result
        self.missing -= 1
        if not self.missing:
            self.on_whole(self.found)


class _Waiting(msgspec.Struct, gc=False):
    event: NewEvent
    results: _Results
    place: int


class Publisher:
    """Accepts events. `run` must be running for anything to be accepted."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        chance: Chance,
        quotas: PublishQuotas = NO_QUOTAS,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._chance = chance
        self._quotas = quotas
        self._catalogue = catalogue
        self._rates: Rates | None = None
        if quotas.events_per_second is not None:
            self._rates = Rates(
                quotas.events_per_second, burst_ms=limits.QUOTA_BURST_SECONDS * 1_000
            )
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._awake = asyncio.Event()
        self._committed_at_ms = 0.0
        self._is_committing = False
        self._is_closing = False

    async def publish(self, publications: Sequence[Publication]) -> list[Accepted | Refusal]:
        """Make events durable, each by itself; answers in their order, repeats like the first.

        An item that cannot be accepted gets its refusal: among them `QuotaExceeded`, and
        `ValidationFailed` for data that do not fit the schema of their event type; a repeat of what
        was accepted never gets these. Raises `Unavailable` when nothing can be accepted at the
        moment; then a repeat with the same ids is safe.
        """
        faults = await self._faults(publications)
        self._admit(publications)
        if not publications:
            return []
        are_whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        found = self._enqueue(publications, faults, partial(_done, are_whole))
        await are_whole
        if all(isinstance(result, Unavailable) for result in found):
            raise Unavailable(_NOT_STORED, retry_after_seconds=_RETRY_AFTER_SECONDS)
        return [
            self._answer(publication, result)
            for publication, result in zip(publications, found, strict=True)
        ]

    @property
    def is_checking(self) -> bool:
        """Whether data are checked by schemas, which may take a while."""
        return self._catalogue is not None and self._catalogue.is_checking

    def begin(
        self, publication: Publication, on_result: Callable[[Accepted | Exception], None]
    ) -> None:
        """The same for one event where `is_checking` is not so, without a future or a task.

        `on_result` is called once it is durable, or with what `publish` would answer or raise
        instead; it must not raise. Raises `Unavailable`.
        """
        assert not self.is_checking
        self._admit((publication,))
        self._enqueue((publication,), _NO_FAULTS, partial(self._tell, publication, on_result))

    def _tell(
        self,
        publication: Publication,
        on_result: Callable[[Accepted | Exception], None],
        found: list[AcceptResult | Exception],
    ) -> None:
        (result,) = found
        if isinstance(result, Unavailable):
            on_result(Unavailable(_NOT_STORED, retry_after_seconds=_RETRY_AFTER_SECONDS))
        elif isinstance(result, Accepted | Exception):
            on_result(result)
        else:
            on_result(self._answer(publication, result))

    def _enqueue(
        self,
        publications: Sequence[Publication],
        faults: Sequence[tuple[Fault, ...]],
        on_whole: Callable[[list[AcceptResult | Exception]], None],
    ) -> list[AcceptResult | Exception]:
        """Let events wait for the next commit; answers the list that their results will be in."""
        now_ms = self._clock.now_ms()
        results = _Results(on_whole, [_UNKNOWN] * len(publications), len(publications))
        for place, publication in enumerate(publications):
            unfitting = faults[place]
            if publication.occurred_at is not None:
                latest = format_timestamp(now_ms + limits.OCCURRED_AHEAD_MS_MAX)
                # Both are normalised, and so in the order of time.
                if publication.occurred_at > latest:
                    unfitting = (_TOO_FAR_AHEAD, *unfitting)
            event = self._new_event(publication, now_ms, unfitting)
            self._waiting.append(_Waiting(event, results, place))
            self._waiting_bytes += len(event.body)
        self._awake.set()
        return results.found

    async def run(self) -> None:
        """Commit what waits, until `close`."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            while self._waiting:
                await self._gather()
                self._is_committing = True
                await self._commit(self._next_batch())
                self._is_committing = False
            if self._is_closing:
                return

    def close(self) -> None:
        """Refuse new events from here on; `run` ends when those that wait are answered."""
        self._is_closing = True
        self._awake.set()

    def _admit(self, publications: Sequence[Publication]) -> None:
        """Never accept and drop: say no while there is no room, before anything is promised."""
        too_many = len(self._waiting) + len(publications) > limits.PUBLISHES_WAITING_MAX
        too_large = self._waiting_bytes > limits.PUBLISH_BYTES_WAITING_MAX
        if self._is_closing:
            raise Unavailable("the server is shutting down", retry_after_seconds=5)
        if too_many or too_large:
            raise Unavailable(
                "too many events are waiting to be stored; try again",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        if self._is_stuck():
            raise Unavailable(
                "the database is slow at the moment; try again",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )

    def _is_stuck(self) -> bool:
        """Whether the commit under way takes so long that nobody else should wait behind it."""
        took_ms = self._clock.monotonic_ms() - self._committed_at_ms
        return self._is_committing and took_ms > limits.COMMIT_MS_MAX

    async def _faults(self, publications: Sequence[Publication]) -> list[tuple[Fault, ...]]:
        if self._catalogue is None or not self._catalogue.is_checking:
            return _NO_FAULTS * len(publications)
        return await self._catalogue.faults(
            [(one.tenant_id, one.event_type, one.data) for one in publications]
        )

    def _new_event(
        self, publication: Publication, now_ms: int, faults: tuple[Fault, ...]
    ) -> NewEvent:
        event_id = publication.event_id or self._chance.new_id("evt", now_ms)
        occurred_at = publication.occurred_at or format_timestamp(now_ms)
        event_key = event_id
        if publication.idempotency_key is not None:
            # The colon keeps these apart from everything that publishers can write.
            digest = hashlib.sha256(publication.idempotency_key.encode("utf-8")).hexdigest()
            event_key = f"key:{digest}"
        return NewEvent(
            event_id,
            event_key,
            publication.tenant_id,
            publication.event_type,
            occurred_at,
            publication.ordering_key,
            content_hash(
                publication.event_type,
                publication.ordering_key,
                publication.occurred_at,
                publication.data,
            ),
            frozen_body(event_id, publication.event_type, occurred_at, publication.data),
            publication.hops,
            self._is_over_rate(publication.tenant_id),
            faults=faults,
        )

    def _is_over_rate(self, tenant_id: str) -> bool:
        """Count an event of a tenant; whether it may only be answered if it is a repeat."""
        if self._rates is None:
            return False
        return self._rates.take(tenant_id, self._clock.monotonic_ms()) > 0

    async def _gather(self) -> None:
        """Let more events join if the last commit was a moment ago; an idle server never waits.

        A commit costs the same for one event as for many, so a busy server saves most of it.
        """
        now_ms = self._clock.monotonic_ms()
        left_ms = self._committed_at_ms + limits.PUBLISHES_GATHER_MS - now_ms
        if left_ms > 0 and len(self._waiting) < limits.COMMIT_EVENTS_MAX:
            await asyncio.sleep(left_ms / 1_000)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        batch_bytes = 0
        while self._waiting and len(batch) < limits.COMMIT_EVENTS_MAX:
            size = len(self._waiting[0].event.body)
            if batch and batch_bytes + size > limits.COMMIT_BYTES_MAX:
                break
            batch_bytes += size
            batch.append(self._waiting.popleft())
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        """Commit a prefix of the batch and answer it; the rest waits again, in front."""
        self._committed_at_ms = self._clock.monotonic_ms()
        try:
            results = await self._store.accept_events(
                [one.event for one in batch],
                now_ms=self._clock.now_ms(),
                backlog_max=self._quotas.backlog_max,
            )
        except StoreUnavailable:
            fault = Unavailable(_NOT_STORED, retry_after_seconds=_RETRY_AFTER_SECONDS)
            self._fail(batch, fault)
            return
        except Exception as fault:  # noqa: BLE001 - handed to whoever published it
            if len(batch) == 1:
                self._fail(batch, fault)
            else:
                # One event that cannot be stored must not keep the others out.
                for one in batch:
                    await self._commit([one])
            return
        for one, result in zip(batch, results, strict=False):
            self._waiting_bytes -= len(one.event.body)
            one.results.put(one.place, result)
        self._waiting.extendleft(reversed(batch[len(results) :]))

    def _fail(self, batch: list[_Waiting], fault: Exception) -> None:
        for one in batch:
            self._waiting_bytes -= len(one.event.body)
            one.results.put(one.place, fault)

    def _answer(
        self, publication: Publication, result: AcceptResult | Exception
    ) -> Accepted | Refusal:
        if isinstance(result, Accepted | Refusal):
            return result
        if isinstance(result, Exception):
            raise result
        if isinstance(result, OverQuota):
            return _over_quota(result, self._quotas)
        if isinstance(result, Unfitting):
            is_early = _TOO_FAR_AHEAD in result.faults
            detail = _NOT_VALID if is_early else _NO_FIT
            return ValidationFailed(detail, faults=result.faults)
        return _conflict(publication, result)


def _done(are_whole: "asyncio.Future[None]", _found: list[AcceptResult | Exception]) -> None:
    if not are_whole.done():
        are_whole.set_result(None)


def _over_quota(result: OverQuota, quotas: PublishQuotas) -> QuotaExceeded:
    if result.quota == "backlog":
        return QuotaExceeded(
            f"the tenant has {quotas.backlog_max} unfinished deliveries or more; "
            "publish when some of them have ended",
            retry_after_seconds=limits.BACKLOG_RETRY_AFTER_SECONDS,
        )
    return QuotaExceeded(
        f"the tenant may publish {quotas.events_per_second} events a second",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )


def _conflict(publication: Publication, result: Conflicting) -> Refusal:
    if publication.idempotency_key is not None:
        return IdempotencyKeyReused("this Idempotency-Key was used for an event with other content")
    return EventIdConflict(f"the event id {result.event_id} is taken by an event of other content")
