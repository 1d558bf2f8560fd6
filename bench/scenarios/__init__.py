"""Every scenario by its name."""

from collections.abc import Mapping

from bench.figures import Scenario
from bench.scenarios.cluster import CLUSTER
from bench.scenarios.content import CONTENT
from bench.scenarios.growth import GROWTH
from bench.scenarios.incident import INCIDENT
from bench.scenarios.latency import LATENCY
from bench.scenarios.lists import LISTS
from bench.scenarios.neighbours import NEIGHBOURS
from bench.scenarios.publishes import PUBLISHES

SCENARIOS: Mapping[str, Scenario] = (
    PUBLISHES | LATENCY | NEIGHBOURS | INCIDENT | GROWTH | LISTS | CONTENT | CLUSTER
)
