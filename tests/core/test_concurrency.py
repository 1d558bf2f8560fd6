"""How many requests an endpoint gets at once."""

from tidings.core.attempt import Outcome
from tidings.core.concurrency import Concurrency
from tidings.core.limits import ENDPOINT_CONCURRENCY_MAX


def _succeed(concurrency: Concurrency, times: int, at_ms: int = 0) -> None:
    for _ in range(times):
        concurrency.attempt_finished(
            Outcome.DELIVERED, is_choking=False, started_at_ms=at_ms, now_ms=at_ms + 1
        )


def _choke(concurrency: Concurrency, started_at_ms: int, now_ms: int) -> None:
    concurrency.attempt_finished(
        Outcome.FAILED, is_choking=True, started_at_ms=started_at_ms, now_ms=now_ms
    )


def test_the_first_contact_is_a_single_request() -> None:
    assert Concurrency().limit == 1


def test_it_grows_with_success_up_to_its_bound() -> None:
    concurrency = Concurrency()
    _succeed(concurrency, 3)
    assert concurrency.limit == 4
    _succeed(concurrency, 1_000)
    assert concurrency.limit == ENDPOINT_CONCURRENCY_MAX


def test_choking_halves_it_once_for_all_that_were_on_their_way() -> None:
    concurrency = Concurrency()
    _succeed(concurrency, 31)
    _choke(concurrency, 10, 20)
    assert concurrency.limit == 16
    for _ in range(16):
        _choke(concurrency, 15, 25)
    assert concurrency.limit == 16
    _choke(concurrency, 21, 30)
    assert concurrency.limit == 8


def test_after_a_cut_it_grows_by_one_a_round_and_never_falls_below_one() -> None:
    concurrency = Concurrency()
    _succeed(concurrency, 15)
    _choke(concurrency, 10, 20)
    assert concurrency.limit == 8
    _succeed(concurrency, 9, 30)
    assert concurrency.limit == 9
    for moment in range(100, 200):
        _choke(concurrency, moment, moment)
    assert concurrency.limit == 1


def test_other_failures_change_nothing_and_an_outage_starts_anew() -> None:
    concurrency = Concurrency()
    _succeed(concurrency, 9)
    concurrency.attempt_finished(Outcome.FAILED, is_choking=False, started_at_ms=5, now_ms=6)
    assert concurrency.limit == 10
    concurrency.restart()
    assert concurrency.limit == 1


def test_a_clock_that_was_put_back_keeps_no_choking_from_being_heard() -> None:
    concurrency = Concurrency()
    _succeed(concurrency, 15)
    _choke(concurrency, 7_200_000, 7_200_010)
    concurrency.clock_put_back(1_000)
    _choke(concurrency, 1_001, 1_010)
    assert concurrency.limit == 4
