"""One life of the server: the production engine and verbs on the virtual store and network.

A life ends by a crash, after which nothing of it runs, or by a stop in order, as on SIGTERM.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from simulation import facts
from simulation.chance import SeededChance, VirtualClock
from simulation.database import WitnessedDatabase
from simulation.faults import Faults, StoreFaults
from simulation.journal import Journal
from simulation.network import Network, VirtualTransport
from simulation.plan import Plan
from simulation.store import Limbo, VirtualReaders, VirtualWriter
from simulation.virtual_loop import VirtualLoop
from tidings.api.wire.lifecycle import lifecycle_data
from tidings.core.addresses import AddressRules
from tidings.core.payload import Payloads
from tidings.engine.engine import Engine
from tidings.engine.sending import Sender
from tidings.operations.inspection import Inspection
from tidings.operations.publish import Publisher
from tidings.operations.replay import Replays
from tidings.operations.signing_secrets import SecretRules
from tidings.operations.subscriptions import SubscriptionRules, Subscriptions
from tidings.operations.tenants import Tenants
from tidings.ports.store import Committed, StoreUnavailable
from tidings.storage.sealing import KEY_BYTES, Sealer
from tidings.storage.sql.lifecycle import Lifecycle
from tidings.storage.sql.store import SqlStore, check_key
from tidings.storage.sql.transaction import Transactions
from tidings.storage.sqlite.transactions import SqliteTransactions

T = TypeVar("T")
SUBSCRIPTIONS_MAX = 1_000
_DRAIN_SECONDS = 5.0
_PLENTY_BYTES = 1 << 40
_PAYLOADS = Payloads("https://simulated.example", bytes(KEY_BYTES))


@dataclass
class Surroundings:
    """What outlives a process: its database, clock, network, and the chance it draws from."""

    plan: Plan
    database: WitnessedDatabase
    clock: VirtualClock
    network: Network
    chance: SeededChance
    faults: Faults
    journal: Journal
    limbo: Limbo = field(default_factory=Limbo)
    sealer: Sealer = field(default_factory=lambda: Sealer(bytes(KEY_BYTES)))
    disk_is_full: bool = False
    store_is_away: bool = False
    _ticks: float = 0.0

    def free_bytes(self) -> int:
        """The room on the disk."""
        return 0 if self.disk_is_full else _PLENTY_BYTES

    def open_transactions(self) -> Transactions:
        """What a writer works with."""
        check_key(self.database, self.sealer)
        return SqliteTransactions(
            self.database,
            self.sealer,
            Lifecycle(self.sealer, self.chance, lifecycle_data),
            seconds=self.seconds,
        )

    def seconds(self) -> float:
        """What a transaction takes for its time: a fixed amount for each look at the clock."""
        self._ticks += self.plan.writes_take_ms / 1_000
        return self._ticks


class Process:
    """One life. `verbs` are there while it serves."""

    def __init__(
        self,
        life: int,
        surroundings: Surroundings,
        loop: VirtualLoop,
        on_end: Callable[["Process", str], None],
    ) -> None:
        self.life = life
        self.serves = False
        self.loop = loop
        self.store_faults = StoreFaults(surroundings.faults, self.crash)
        self._surroundings = surroundings
        self._on_end = on_end
        self._is_stopping = False
        self._publishing: asyncio.Task[None] | None = None
        loop.create_task(self._live())

    def crash(self, how: str) -> None:
        """Die at this moment."""
        if not self.loop.is_dead:
            self.loop.kill()
            self.serves = False
            self._on_end(self, how)

    def stop(self) -> None:
        """Come to rest in order, as on SIGTERM."""
        if self.serves and not self._is_stopping:
            self._is_stopping = True
            self.loop.create_task(self._stop())

    def ask(self, verb: Callable[["Process"], Awaitable[T]]) -> "asyncio.Task[T]":
        """Begin a verb within the process."""
        return self.loop.create_task(_carried_out(verb, self))

    async def _live(self) -> None:
        around = self._surroundings
        try:
            self.store = self._open_store()
            await self._start()
        except StoreUnavailable:
            self.crash("start_failed")
            return
        self.serves = True
        around.journal.tell(facts.LifeServes(self.life))

    def _open_store(self) -> SqlStore:
        around = self._surroundings
        self.writer = VirtualWriter(
            around.open_transactions(),
            around.database,
            self.store_faults,
            around.journal,
            around.limbo,
        )
        return SqlStore(
            self.writer,
            VirtualReaders(around.database, self.store_faults),
            around.sealer,
            around.chance,
            free_bytes=around.free_bytes,
            let_go=lambda: None,
        )

    async def _start(self) -> None:
        """The same as `tidings.wiring.running`, but for faces and keys."""
        around, store = self._surroundings, self.store
        plan, clock, chance = around.plan, around.clock, around.chance
        transport = VirtualTransport(around.network, self.life, self.crash)
        sender = Sender(transport, clock, chance, _PAYLOADS, version="simulated")
        self.engine = Engine(
            store,
            sender,
            clock,
            chance,
            concurrency_max=plan.concurrency_max,
            disable_after_days=plan.disable_after_days,
            retention_days=plan.retention_days,
            beats=plan.beats,
        )
        await self.engine.start()
        store.on_commit(self._measure)
        self.publisher = Publisher(store, clock, chance, plan.extras.quotas)
        self._publishing = asyncio.create_task(self.publisher.run())
        rules = SubscriptionRules(AddressRules(), SecretRules(), SUBSCRIPTIONS_MAX)
        self.subscriptions = Subscriptions(store, clock, chance, rules)
        self.inspection = Inspection(store)
        self.replays = Replays(store, clock, chance, self.engine.is_in_flight)
        self.tenants = Tenants(store, clock)

    def _measure(self, _changes: Committed) -> None:
        dispatcher = self.engine.dispatcher
        scheduler = dispatcher.scheduler
        measured = facts.Measured(
            scheduler.rows_in_memory,
            len(scheduler._roster.finished),
            dispatcher.recorder.unrecorded,
            dispatcher.bodies._bytes,
        )
        self._surroundings.journal.tell(measured)

    async def _stop(self) -> None:
        self.publisher.close()
        assert self._publishing is not None
        await self._publishing
        await self.engine.stop(timeout_seconds=_DRAIN_SECONDS)
        await self.store.close()
        self.crash("stopped")


async def _carried_out(verb: Callable[[Process], Awaitable[T]], process: Process) -> T:
    return await verb(process)
