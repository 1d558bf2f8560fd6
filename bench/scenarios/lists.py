"""How long lists take when there is a long history behind them.

``ATTEMPTS=10000000 python -m bench lists`` fills the database with more than the usual million.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping

from bench.figures import Figures, Scenario, percentile
from bench.world import World, world

_ATTEMPTS = int(os.environ.get("ATTEMPTS", "1000000"))
_SUBSCRIPTIONS = 1_000
_REQUESTS, _SECONDS_MAX = 50, 10.0


def lists() -> Figures:
    """Each list with each kind of filter, first pages and pages in the middle."""
    with world(prepare=_fill) as one:
        event_id = (one.folder / "middle").read_text().strip()
        return {
            f"{name} {kind}": value
            for name, path in _paths(one, event_id).items()
            for kind, value in _latencies(one, path).items()
        }


def _fill(one: World) -> None:
    """Subscriptions that take nothing more, and a history of theirs."""
    one.prepare(subscriptions=_SUBSCRIPTIONS, path="/ok/{0}", event_type="area-{0}.thing.changed")
    command = [sys.executable, "-m", "bench.fill", str(one.folder), str(_ATTEMPTS)]
    filled = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    (one.folder / "middle").write_bytes(filled.stdout)


def _paths(one: World, event_id: str) -> Mapping[str, str]:
    """What is asked for, by the name of the figure."""
    delivery_id = event_id.replace("evt_", "dlv_", 1)
    middle = one.call("GET", f"/deliveries/{delivery_id}", seconds=60)
    subscription_id, at = middle["subscriptionId"], middle["createdAt"]
    own = f"/webhook-subscriptions/{subscription_id}"
    return {
        "events": "/events",
        "events, 100": "/events?limit=100",
        "events, middle": f"/events?until={at}",
        "events of all tenants": "/events?tenantId=*",
        "events of a type": "/events?eventType=area-7.thing.changed",
        "events of a type, none": "/events?eventType=no.such.type",
        "deliveries": "/deliveries",
        "deliveries, middle": f"/deliveries?until={at}",
        "deliveries of all tenants": "/deliveries?tenantId=*",
        "deliveries, delivered": "/deliveries?status=delivered",
        "deliveries, pending": "/deliveries?status=pending",
        "deliveries, dead-lettered": "/deliveries?status=dead_lettered",
        "deliveries, cancelled": "/deliveries?status=cancelled",
        "deliveries of an event": f"/events/{event_id}/deliveries",
        "deliveries of a subscription": f"{own}/deliveries",
        "deliveries of a subscription, middle": f"{own}/deliveries?until={at}",
        "deliveries of a subscription, cancelled": f"{own}/deliveries?status=cancelled",
        "delivery with its attempts": f"/deliveries/{delivery_id}",
        "dead letters": "/dead-letters",
        "dead letters, middle": f"/dead-letters?until={at}",
        "dead letters of all tenants": "/dead-letters?tenantId=*",
        "dead letters of a subscription": f"/dead-letters?subscriptionId={subscription_id}",
        "subscriptions": "/webhook-subscriptions?limit=100",
        "subscriptions, paused": "/webhook-subscriptions?status=paused",
        "event types": "/event-types",
        "tenants": "/tenants",
        "keys": "/api-keys",
        "statistics": "/stats",
        "statistics of a subscription": f"{own}/stats",
    }


def _latencies(one: World, path: str) -> Figures:
    """Milliseconds of some requests of the same; fewer when they take long."""
    connection = http.client.HTTPConnection("127.0.0.1", one.server_port, timeout=120)
    took_ms: list[float] = []
    until = time.monotonic() + _SECONDS_MAX
    while len(took_ms) < _REQUESTS and (time.monotonic() < until or not took_ms):
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
        took_ms.append((time.perf_counter() - began) * 1_000)
        if answer.status != http.client.OK:
            raise SystemExit(f"GET {path} was answered {answer.status}: {json.loads(content)}")
    connection.close()
    return {"p50 ms": percentile(took_ms, 0.5), "p99 ms": percentile(took_ms, 0.99)}


LISTS: dict[str, Scenario] = {"lists": Scenario(lists, runs=1)}
