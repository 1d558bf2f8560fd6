"""The network between a process and the receivers: the port `Transport`, and who sees what when."""

import asyncio
import random
from collections.abc import Callable
from urllib.parse import urlsplit

from simulation import facts
from simulation.chance import VirtualClock
from simulation.faults import Faults
from simulation.journal import Journal
from simulation.receivers import (
    Reaction,
    Receiver,
    failing_on_our_side,
    losing_the_answer,
    within,
)
from simulation.virtual_loop import VirtualLoop
from tidings.core.attempt import Answer
from tidings.ports.transport import OutboundRequest


class Network:
    """Carries requests to receivers. What has left the process arrives, also if it dies then."""

    def __init__(
        self,
        loop: VirtualLoop,
        clock: VirtualClock,
        faults: Faults,
        journal: Journal,
        draws: random.Random,
    ) -> None:
        self.receivers: dict[str, Receiver] = {}
        self._loop = loop
        self._clock = clock
        self._faults = faults
        self._journal = journal
        self._draws = draws
        self._count = 0

    def send(
        self, request: OutboundRequest, life: int, crash: Callable[[str], None]
    ) -> tuple[facts.Wire, Reaction]:
        """Let a request go; answers what will come of it."""
        now = self._loop.time()
        self._count += 1
        headers = dict(request.headers)
        wire = facts.Wire(
            self._count,
            life,
            now,
            self._clock.now_ms(),
            request.url,
            headers.get("webhook-id", ""),
            request.headers,
            request.body,
            request.timeout_seconds,
        )
        self._journal.tell(facts.Sent(wire))
        reaction = self._reaction(request, now)
        if self._faults.strikes("crash_before_send"):
            crash("crash_before_send")
            return wire, reaction
        if reaction.arrives_after is not None:
            arrives_at = now + reaction.arrives_after
            said = reaction.said
            reaction = within(self._with_lost_answers(reaction), request.timeout_seconds)
            self._loop.call_at(arrives_at, self._arrive, wire, said)
            if self._faults.strikes("crash_after_arrival"):
                self._loop.call_at(arrives_at, crash, "crash_after_arrival")
            elif self._faults.strikes("crash_after_answer"):
                self._loop.call_at(now + reaction.answered_after, crash, "crash_after_answer")
        return wire, within(reaction, request.timeout_seconds)

    def returned(self, wire: facts.Wire, answer: Answer) -> None:
        """The process has its answer."""
        wire.answer = answer
        wire.returned_at = self._loop.time()
        wire.returned_wall_ms = self._clock.now_ms()
        self._journal.tell(facts.Returned(wire))

    def given_up(self, wire: facts.Wire) -> None:
        """The process does not wait for the answer any more."""
        self._journal.tell(facts.GivenUp(wire))

    def heal(self) -> None:
        """Let every receiver answer 200 from here on."""
        for receiver in self.receivers.values():
            receiver.is_healed = True

    def _reaction(self, request: OutboundRequest, now: float) -> Reaction:
        if self._faults.strikes("our_proxy_failed"):
            return failing_on_our_side()
        host = urlsplit(request.url).hostname
        assert host is not None
        receiver = self.receivers[host]
        self._journal.counted[f"mood {receiver.mood(now)}"] += 1
        return receiver.react(now)

    def _with_lost_answers(self, reaction: Reaction) -> Reaction:
        if self._faults.strikes("answer_lost"):
            return losing_the_answer(reaction)
        return reaction

    def _arrive(self, wire: facts.Wire, said: int | None) -> None:
        wire.arrived_at = self._loop.time()
        wire.said = said
        self._journal.tell(facts.Arrived(wire, self._clock.now_ms()))


class VirtualTransport:
    """The port `Transport` of one process."""

    def __init__(self, network: Network, life: int, crash: Callable[[str], None]) -> None:
        self._network = network
        self._life = life
        self._crash = crash
        self._connected: set[str] = set()

    async def send(self, request: OutboundRequest) -> Answer:
        """See `Transport`."""
        self._connected.add(request.subscription_id)
        loop = asyncio.get_running_loop()
        wire, reaction = self._network.send(request, self._life, self._crash)
        returned = loop.create_future()
        loop.call_later(reaction.answered_after, self._return, wire, reaction.answer, returned)
        try:
            answer: Answer = await returned
        except asyncio.CancelledError:
            self._network.given_up(wire)
            raise
        return answer

    def begin(
        self, request: OutboundRequest, on_answer: Callable[[Answer], None]
    ) -> Callable[[], None] | None:
        """See `Transport`. What goes to a subscription first has to wait for a connection."""
        loop = asyncio.get_running_loop()
        if request.subscription_id not in self._connected or loop.is_closed():
            # A process that has died in the midst of many sends makes no more of them.
            return None
        wire, reaction = self._network.send(request, self._life, self._crash)

        def come_back() -> None:
            self._network.returned(wire, reaction.answer)
            on_answer(reaction.answer)

        timer = loop.call_later(reaction.answered_after, come_back)

        def give_up() -> None:
            timer.cancel()
            self._network.given_up(wire)

        return give_up

    def _return(self, wire: facts.Wire, answer: Answer, returned: "asyncio.Future[Answer]") -> None:
        if not returned.done():
            self._network.returned(wire, answer)
            returned.set_result(answer)
