"""A real cluster is killed, stopped and robbed of its database; nothing may be lost."""

from pathlib import Path

import pytest

from tests.cluster.account import account
from tests.cluster.turns import (
    TAKE_OVER,
    crash_database,
    freeze_worker,
    kill_api_node,
    kill_worker,
    new_figures,
    stop_api_node,
    stop_worker,
)
from tests.cluster.world import LIMITED, SMALL, Cluster, cluster
from tests.crashes import receiver
from tests.crashes.account import expect_clean
from tests.crashes.publishers import Ledger
from tests.crashes.receiver import Request
from tests.support.postgres_server import installations

# A minute on a quiet machine; it may be a busy one.
pytestmark = pytest.mark.timeout(900)


def test_nothing_is_lost_while_workers_nodes_and_the_database_die(tmp_path: Path) -> None:
    with cluster(tmp_path, 31, installations()[-1], SMALL) as one:
        one.start_everything()
        figures = new_figures()
        one.await_accepted(20)
        for turn in (
            kill_worker,
            kill_api_node,
            freeze_worker,
            stop_worker,
            crash_database,
            stop_api_node,
        ):
            turn(one, figures)
        one.await_accepted(SMALL.events)
        ledger = one.settle()
        balance = account(one, ledger)
        expect_clean(balance)
        assert balance.accepted == SMALL.events
        assert len(balance.delivery_ids) == SMALL.events * len(SMALL.kinds)
        assert len(figures[TAKE_OVER]) == 1
        _expect_that_faults_would_be_found(one, ledger)


def _expect_that_faults_would_be_found(one: Cluster, ledger: Ledger) -> None:
    """Forge the receivers' log: an account that misses this would be worth nothing."""
    requests = one.received()
    written = one.log.read_text()
    ordered = [each for each in requests if each.path.startswith(receiver.ORDERED)]
    lane = [each for each in ordered if _lane(each) == _lane(ordered[-1])]
    limited = [each for each in requests if each.path.startswith(LIMITED)]
    again = requests[-1]._replace(number=1_000_000)
    crowded = [limited[-1]._replace(number=each.number) for each in limited[-3:]]
    forgeries = {
        "is not on record": [*requests, again],
        "a second": [*requests[:-3], *crowded],
        "came after": [*lane[-1:], *requests],
    }
    for complaint, forged in forgeries.items():
        _write(one, forged)
        assert any(complaint in each for each in account(one, ledger).unexplained), complaint
    _write(one, [each for each in requests if each.event_id != ledger.accepted[-1]])
    assert len(account(one, ledger).lost) == len(one.size.kinds)
    one.log.write_text(written)


def _lane(request: Request) -> tuple[str, str]:
    return request.path, request.event_id.split("-")[0]


def _write(one: Cluster, requests: list[Request]) -> None:
    one.log.write_text("".join(each.line for each in requests))
