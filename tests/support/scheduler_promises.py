"""What the scheduler promises about every request that goes out, checked as it goes out."""

from collections.abc import Iterable, Mapping

from tidings.core import limits
from tidings.core.commands import Send
from tidings.core.delivery import Delivery
from tidings.core.endpoint import Endpoint, Speed
from tidings.core.scheduler import Scheduler
from tidings.core.slots import Slots
from tidings.core.subscription import Subscription


class SchedulerPromises:
    """Watches one scheduler by what it was told."""

    def __init__(self, scheduler: Scheduler, concurrency_max: int) -> None:
        self.scheduler = scheduler
        self.concurrency_max = concurrency_max
        self.sends: list[tuple[int, Send]] = []
        self._subscriptions: dict[str, Subscription] = {}
        self._ended: set[int] = set()
        self._under_way: dict[int, Delivery] = {}
        self._rate_sent: dict[str, list[int]] = {}
        self._put_back_from_ms = 0

    # What the scheduler was told.

    def told(self, subscription: Subscription) -> None:
        """A subscription changed."""
        old = self._subscriptions.get(subscription.subscription_id)
        if old is not None and old.version > subscription.version:
            return
        self._subscriptions[subscription.subscription_id] = subscription
        if old is None or old.rate_limit_per_second != subscription.rate_limit_per_second:
            self._rate_sent.pop(subscription.subscription_id, None)

    def ended(self, rows: Iterable[Delivery]) -> None:
        """Rows were ended by somebody."""
        self._ended.update(row.seq for row in rows)

    def recorded(self, delivery: Delivery, *, has_ended: bool) -> None:
        """A result was recorded."""
        self._under_way.pop(delivery.seq, None)
        if has_ended:
            self._ended.add(delivery.seq)

    def abandoned(self, seq: int) -> None:
        """A request was given up."""
        self._under_way.pop(seq, None)

    def restarted(self, scheduler: Scheduler) -> None:
        """Another process goes on; requests of the old one may repeat."""
        self.scheduler = scheduler
        self._under_way.clear()
        self._rate_sent.clear()

    def clock_put_back(self, by_ms: int, now_ms: int) -> None:
        """The wall clock was set; what was sent by the old one counts at the same distance."""
        self._put_back_from_ms = max(self._put_back_from_ms, now_ms + by_ms)
        for times in self._rate_sent.values():
            times[:] = [one_ms - by_ms for one_ms in times]

    def begun(self, subscription_id: str) -> None:
        """It is ours again; others may have sent in between, and its rate begins anew."""
        self._rate_sent.pop(subscription_id, None)

    # What it does.

    def sent(
        self,
        sends: list[Send],
        in_flight: Mapping[int, Send],
        now_ms: int,
        table: Mapping[int, Delivery],
    ) -> None:
        """Check the requests that one step let go, in their order."""
        flying = dict(in_flight)
        for send in sends:
            delivery = send.delivery
            self._check_row(delivery, table)
            self._check_subscription(send)
            if not delivery.is_manual:
                self._check_time(delivery, now_ms)
                self._check_endpoint(delivery, flying, now_ms)
                self._check_slots(delivery, flying)
            self._check_rate(send, now_ms)
            flying[delivery.seq] = send
            self._under_way[delivery.seq] = delivery
            self.sends.append((now_ms, send))
        assert len(flying) <= self.concurrency_max, "more requests than slots"

    def _check_row(self, delivery: Delivery, table: Mapping[int, Delivery]) -> None:
        seq = delivery.seq
        assert seq not in self._under_way, "sent while an attempt of it is under way"
        assert seq not in self._ended, "sent after its end was told"
        row = table.get(seq)
        if row is not None:
            assert row.attempt_count == delivery.attempt_count, "sent from a stale read"
        if delivery.ordering_key is None:
            return
        for other in self._under_way.values():
            same_lane = (
                other.subscription_id == delivery.subscription_id
                and other.ordering_key == delivery.ordering_key
            )
            # One that was ended while in flight holds its lane no longer.
            assert not same_lane or other.seq in self._ended, "two of a lane under way"
        for other in table.values():
            if (
                other.subscription_id == delivery.subscription_id
                and other.ordering_key == delivery.ordering_key
            ):
                assert other.seq >= delivery.seq, "sent before the head of its lane"

    def _check_subscription(self, send: Send) -> None:
        told = self._subscriptions[send.delivery.subscription_id]
        assert send.subscription is told, "not the present subscription"
        assert told.may_send, f"sent to a subscription that is {told.status}"
        assert told.secrets, "sent without a secret"

    def _check_time(self, delivery: Delivery, now_ms: int) -> None:
        # What was due by the clock as it stood before somebody put it back may go.
        latest_ms = max(now_ms, self._put_back_from_ms)
        assert (delivery.due_at_ms or 0) <= latest_ms, "sent before it is due"

    def _endpoint(self, delivery: Delivery) -> Endpoint:
        return self.scheduler._roster.endpoints[delivery.subscription_id]

    def _check_endpoint(self, delivery: Delivery, flying: Mapping[int, Send], now_ms: int) -> None:
        endpoint = self._endpoint(delivery)
        mates = [
            one
            for one in flying.values()
            if one.delivery.subscription_id == delivery.subscription_id
        ]
        assert len(mates) < endpoint.concurrency.limit, "more requests than the endpoint takes"
        assert len(mates) < limits.ENDPOINT_CONCURRENCY_MAX
        assert (endpoint.health.held_until_ms or 0) <= now_ms, "sent while it is held"
        if endpoint.health.probe_at_ms is not None:
            assert endpoint.health.probe_at_ms <= now_ms, "probed before its time"
            assert not mates, "more than one probe at a time"

    def _check_slots(self, delivery: Delivery, flying: Mapping[int, Send]) -> None:
        slots = Slots(self.concurrency_max)
        endpoint = self._endpoint(delivery)
        flights = [self.scheduler._slots.flights[seq] for seq in flying]
        mates = [flight for flight in flights if flight.host == endpoint.host]
        for crowd, bound in (
            (flights, self.concurrency_max),
            (mates, limits.HOST_CONCURRENCY_MAX),
        ):
            speeds = [flight.speed for flight in crowd]
            slow, not_fast = speeds.count(Speed.SLOW), len(speeds) - speeds.count(Speed.FAST)
            assert len(speeds) < bound, "more requests than all or the host bear"
            if endpoint.speed is Speed.SLOW:
                assert slow < max(1, int(bound * limits.SLOW_SLOTS_SHARE)), "the slow crowd"
            if endpoint.speed is Speed.FAILING:
                failing = speeds.count(Speed.FAILING)
                assert failing < limits.FAILING_SLOTS_MAX, "those that fail keep all busy"
            if endpoint.speed is not Speed.FAST:
                share = (1 + limits.SLOW_SLOTS_SHARE) / 2
                assert not_fast < max(1, int(bound * share)), "those not known to be fast crowd"
        if delivery.is_again:
            again = sum(one.delivery.is_again for one in flying.values())
            assert again < slots._again_max, "repeats crowd out the fresh"

    def _check_rate(self, send: Send, now_ms: int) -> None:
        """Any stretch of time sees at most what the rate allows for it, and the burst."""
        subscription_id = send.delivery.subscription_id
        per_second = self._subscriptions[subscription_id].rate_limit_per_second
        if per_second is None:
            return
        times = self._rate_sent.setdefault(subscription_id, [])
        times.append(now_ms)
        if send.delivery.is_manual:
            return
        burst = max(1.0, 0.02 * per_second)
        for count, earlier_ms in enumerate(reversed(times), start=1):
            allowed = per_second * (now_ms - earlier_ms) / 1_000 + burst
            assert count <= allowed + 1e-6, "more than the rate allows"
