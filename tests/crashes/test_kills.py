"""The server is killed at random moments; nothing that got its 202 may be lost."""

from pathlib import Path

import pytest

from tests.crashes import receiver, scenarios
from tests.crashes.account import account, expect_clean
from tests.crashes.kills import KINDS
from tests.crashes.publishers import Ledger
from tests.crashes.world import World, world

pytestmark = pytest.mark.timeout(180)


def test_nothing_is_lost_however_the_server_dies_and_every_repeat_has_its_reason(
    tmp_path: Path,
) -> None:
    with world(tmp_path, seed=20) as one:
        one.start()
        one.publish()
        for kind in one.draw.sample(list(KINDS), len(KINDS)):
            one.await_new_events()
            KINDS[kind](one)
        one.wait(0.1, 0.3)
        ledger = one.settle()
        balance = account(one, ledger)
        expect_clean(balance)
        # A pause is no death, and a drain may be over before its kill.
        assert balance.accepted > len(one.deaths) >= len(KINDS) - 2
        assert one.pauses == 1
        _expect_that_faults_would_be_found(one, ledger)


def _expect_that_faults_would_be_found(one: World, ledger: Ledger) -> None:
    """Forge the receivers' log: an account that misses this would be worth nothing."""
    last = next(each for each in reversed(one.received()) if each.path == receiver.STEADY)
    forged = last._replace(number=1_000_000, at_ms=last.at_ms + 1)
    with one.log.open("a") as log:
        log.write(forged.line)
    assert len(account(one, ledger).unexplained) > 0
    lines = one.log.read_text().splitlines(keepends=True)
    one.log.write_text("".join(line for line in lines if f" {last.event_id} " not in line))
    assert len(account(one, ledger).lost) > 0


def test_the_first_start_may_be_killed_in_any_of_its_writes(tmp_path: Path) -> None:
    one = scenarios.first_starts(tmp_path, 1, kills=3)
    assert len(one.deaths) == 3


def test_retention_may_be_killed_in_any_of_its_writes(tmp_path: Path) -> None:
    one = scenarios.retention(tmp_path, 2, kills=2)
    assert len(one.deaths) == 2


def test_a_log_that_lost_its_end_loses_the_newest_and_nothing_by_half(tmp_path: Path) -> None:
    assert scenarios.cut_logs(tmp_path, 3, cuts=2) > 0
