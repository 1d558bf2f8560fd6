"""Turns by slot time: over tenants, then over a tenant's endpoints."""

from collections import Counter

from tidings.core.fairness import FairQueue, Share


def serve(
    queue: FairQueue, shares: dict[str, tuple[Share, Share]], costs: dict[str, float], turns: int
) -> list[str]:
    """Serve so many turns; whoever was served comes back at once."""
    served = []
    for _ in range(turns):
        name = queue.take()
        assert name is not None
        served.append(name)
        tenant, endpoint = shares[name]
        tenant.used_ms += costs[name]
        endpoint.used_ms += costs[name]
        queue.add(tenant, endpoint)
    return served


def test_an_empty_queue_has_nobody_to_serve() -> None:
    queue = FairQueue(Share("everyone"))
    assert queue.take() is None
    assert queue.first_used_ms() is None


def test_tenants_share_alike_however_many_endpoints_they_have() -> None:
    queue = FairQueue(Share("everyone"))
    big, small = Share("big"), Share("small")
    shares = {f"big{number}": (big, Share(f"big{number}")) for number in range(9)}
    shares["small"] = (small, Share("small"))
    for tenant, endpoint in shares.values():
        queue.add(tenant, endpoint)
    served = Counter(serve(queue, shares, dict.fromkeys(shares, 10.0), 200))
    assert 90 <= served["small"] <= 110
    assert max(served[name] for name in shares if name != "small") <= 15


def test_one_that_holds_slots_for_long_waits_the_longer() -> None:
    queue = FairQueue(Share("everyone"))
    tenant = Share("tenant")
    shares = {"slow": (tenant, Share("slow")), "quick": (tenant, Share("quick"))}
    for one, endpoint in shares.values():
        queue.add(one, endpoint)
    served = Counter(serve(queue, shares, {"slow": 1_000.0, "quick": 10.0}, 303))
    assert 2 <= served["slow"] <= 5


def test_who_comes_back_cannot_claim_the_time_it_did_not_use() -> None:
    queue = FairQueue(Share("everyone"))
    busy, idle = Share("busy"), Share("idle")
    shares = {"busy": (busy, Share("busy")), "idle": (idle, Share("idle"))}
    queue.add(*shares["busy"])
    serve(queue, shares, {"busy": 10.0, "idle": 10.0}, 1_000)
    queue.add(*shares["idle"])
    served = Counter(serve(queue, shares, {"busy": 10.0, "idle": 10.0}, 100))
    assert 45 <= served["idle"] <= 55
