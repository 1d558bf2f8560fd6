"""How often endpoints may be tried by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core import limits
from tidings.core.trial_limits import TrialLimits, host_of


def used_up(trials: TrialLimits, tenant_id: str, host: str, now_ms: float = 0) -> int:
    """How many trials go one after the other until one has to wait."""
    count = 0
    while trials.begin(tenant_id, host, now_ms) == 0:
        trials.end(host)
        count += 1
    return count


def test_a_tenant_may_have_a_minutes_worth_at_once_and_then_one_at_a_time() -> None:
    trials = TrialLimits(20)
    assert used_up(trials, "acme", "a.example.com") == 20
    assert trials.begin("acme", "b.example.com", 0) == pytest.approx(3_000)
    assert used_up(trials, "acme", "b.example.com", 3_001) == 1
    assert used_up(trials, "acme", "b.example.com", 120_000) == 20


def test_no_number_of_tenants_makes_a_hammer_against_one_host() -> None:
    trials = TrialLimits(20)
    sent = sum(used_up(trials, f"tenant-{number}", "victim.example.com") for number in range(50))
    assert sent == 20 * limits.TRIALS_OF_HOST_FACTOR
    assert used_up(trials, "tenant-99", "other.example.com") == 20


def test_a_tenant_beyond_its_share_leaves_that_of_the_host_to_others() -> None:
    trials = TrialLimits(20)
    assert used_up(trials, "greedy", "shared.example.com") == 20
    for _ in range(1_000):
        trials.begin("greedy", "shared.example.com", 0)
    assert used_up(trials, "modest", "shared.example.com") == 20


def test_a_host_that_hangs_holds_only_so_many() -> None:
    trials = TrialLimits(10_000)
    begun = sum(trials.begin("acme", "slow", 0) == 0 for _ in range(500))
    assert begun == limits.TRIALS_IN_FLIGHT_OF_HOST_MAX
    assert trials.begin("acme", "slow", 0) == limits.TRIALS_FULL_RETRY_AFTER_MS
    assert trials.begin("acme", "other", 0) == 0
    trials.end("slow")
    assert trials.begin("acme", "slow", 0) == 0


def test_many_hosts_that_hang_hold_only_so_many_together() -> None:
    trials = TrialLimits(10_000)
    begun = sum(trials.begin("acme", f"host-{number}", 0) == 0 for number in range(500))
    assert begun == limits.TRIALS_IN_FLIGHT_MAX


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=200))
def test_what_ends_leaves_nothing_behind(asked: list[tuple[str, str]]) -> None:
    trials = TrialLimits(1_000_000)
    begun = [host for tenant_id, host in asked if trials.begin(tenant_id, host, 0) == 0]
    for host in begun:
        trials.end(host)
    assert trials._in_flight == {}
    assert trials._all_in_flight == 0


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Client.Example.com/a", "client.example.com"),
        ("https://client.example.com:8443/b?c", "client.example.com"),
        ("https://client.example.com./", "client.example.com"),
        ("http://[2606:2800:220:1::1]:80/", "2606:2800:220:1::1"),
        ("https://93.184.216.34", "93.184.216.34"),
    ],
)
def test_ports_and_paths_make_no_other_host(url: str, host: str) -> None:
    assert host_of(url) == host
