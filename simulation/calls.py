"""How clients call: over a connection that may break, to a server that may be away or die."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from simulation import facts
from simulation.faults import Faults
from simulation.journal import BrokenPromise, Journal
from simulation.process import Process
from simulation.virtual_loop import VirtualLoop
from tidings.core.refusals import Refusal, Unavailable
from tidings.ports.store import StoreUnavailable

Verb = Callable[[Process], Awaitable[Any]]
_ROUND_TRIP_SECONDS = (0.0005, 0.02)
_PATIENCE_SECONDS = (0.05, 300.0)
_GOES_AWAY_SECONDS = (0.0001, 0.02)


class Calls:
    """Makes the calls of all clients, each one told to the journal."""

    def __init__(self, loop: VirtualLoop, faults: Faults, journal: Journal) -> None:
        self.process: Process | None = None
        self._loop = loop
        self._faults = faults
        self._journal = journal
        self._count = 0
        self._open: dict[asyncio.Task[Any], tuple[facts.Call, asyncio.Future[None]]] = {}

    async def once(self, verb: str, tenant_id: str, ask: Verb, **about: Any) -> facts.Call:
        """Call once, whatever comes of it."""
        self._count += 1
        call = facts.Call(self._count, verb, tenant_id, about, self._loop.time())
        process = self.process
        if process is None or not process.serves:
            await asyncio.sleep(self._faults.between(*_ROUND_TRIP_SECONDS))
            call.refusal = "no_connection"
            return call
        self._journal.tell(facts.Asked(call))
        answered: asyncio.Future[None] = self._loop.create_future()
        work = process.ask(ask)
        self._open[work] = (call, answered)
        work.add_done_callback(self._finished)
        if self._faults.strikes("client_gone"):
            self._loop.call_later(self._faults.widely(*_GOES_AWAY_SECONDS), self._go_away, work)
        await answered
        return call

    async def until_told(self, verb: str, tenant_id: str, ask: Verb, **about: Any) -> facts.Call:
        """Repeat a call until there is an answer or a refusal that will not change."""
        while True:
            call = await self.once(verb, tenant_id, ask, **about)
            if not call.is_unknown and call.refusal != "no_connection":
                return call
            await asyncio.sleep(self._faults.widely(*_PATIENCE_SECONDS))

    def process_ended(self) -> None:
        """Every connection to the process is broken."""
        for call, answered in self._open.values():
            call.is_unknown = True
            self._tell(call, answered)
        self._open.clear()

    def _go_away(self, work: asyncio.Task[Any]) -> None:
        """A client closes its connection; the server cancels what it was doing for it."""
        if work in self._open and not work.done():
            call, answered = self._open.pop(work)
            work.cancel()
            call.is_unknown = True
            self._tell(call, answered)

    def _finished(self, work: asyncio.Task[Any]) -> None:
        """Within the process: the verb is done, and its answer goes on its way."""
        if work not in self._open:
            if not work.cancelled():
                work.exception()
            return
        call, answered = self._open.pop(work)
        fault = work.exception()
        if fault is None:
            call.answer = work.result()
        elif isinstance(fault, Unavailable | StoreUnavailable):
            call.is_unknown = True
        elif isinstance(fault, Refusal):
            call.refusal = fault.code
        else:
            broken = BrokenPromise("no bug of ours shows", f"{call.verb} raised {fault!r}")
            self._journal.fail(broken)
        if self._faults.strikes("client_answer_lost"):
            call.is_unknown, call.answer, call.refusal = True, None, None
        seconds = self._faults.between(*_ROUND_TRIP_SECONDS)
        self._loop.call_later(seconds, self._tell, call, answered)

    def _tell(self, call: facts.Call, answered: "asyncio.Future[None]") -> None:
        call.told_at = self._loop.time()
        self._journal.tell(facts.Told(call))
        if not answered.done():
            answered.set_result(None)
