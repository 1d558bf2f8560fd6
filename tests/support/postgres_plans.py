"""The plans that PostgreSQL makes for statements as they come, and what in them reads too much."""

import json
import re
from collections.abc import Container, Iterator
from typing import Any, Final

from tidings.storage.postgres.connection import PostgresConnection

_STATEMENT: Final = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)", re.IGNORECASE)
_SCANS: Final = ("Index Scan", "Index Only Scan")


class Planned:
    """The first use of a statement: its plan with the values that it was given."""

    def __init__(self, sql: str, plan: dict[str, Any]) -> None:
        self.sql = sql
        self.plan = plan


class PlanNotes:
    """Has every statement explained that is run for the first time, where and when it is run."""

    def __init__(self) -> None:
        self.seen: dict[str, Planned] = {}

    def note(self, db: PostgresConnection, sql: str, values: Any, fetch: Any) -> Any:
        """Explain a statement, then run it."""
        if sql not in self.seen and _STATEMENT.match(sql):
            (row,) = fetch(db, f"EXPLAIN (FORMAT JSON) {sql}", values)
            self.seen[sql] = Planned(sql, json.loads(row[0])[0]["Plan"])
        return fetch(db, sql, values)


def nodes(plan: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Every node of a plan, each with the kinds of those above it."""
    yield plan, above
    for one in plan.get("Plans", ()):
        yield from nodes(one, (*above, plan["Node Type"]))


def large_tables(db: PostgresConnection) -> frozenset[str]:
    """Tables and partitions with many rows, so that nothing may read through them."""
    sql = "SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= 5000"
    return frozenset(row[0] for row in db.execute(sql))


def too_much(plan: dict[str, Any], large: Container[str]) -> list[str]:
    """What in a plan reads through a large table."""
    found = []
    for node, above in nodes(plan):
        kind, table = node["Node Type"], node.get("Relation Name", "")
        # In the order of an index it may be read from one end, as far as is needed.
        is_whole = kind in _SCANS and "Index Cond" not in node and "Limit" not in above
        if table in large and (is_whole or kind == "Seq Scan"):
            found.append(f"{kind} of the whole {table}")
    return found


def kept_plan(db: PostgresConnection, planned: Planned) -> dict[str, Any] | None:
    """The plan for any values, where the server would come to prefer it to one for these.

    It does when that is no dearer, planning included.
    """
    count = max((int(one) for one in re.findall(r"\$(\d+)", planned.sql)), default=0)
    given = f"({', '.join(['NULL'] * count)})" if count else ""
    db.begin("BEGIN; SET LOCAL plan_cache_mode = force_generic_plan")
    try:
        db.run_script(f"PREPARE kept AS {planned.sql}")
        (row,) = db.execute(f"EXPLAIN (FORMAT JSON) EXECUTE kept{given}")
        db.run_script("DEALLOCATE kept")
    finally:
        db.rollback()
    kept: dict[str, Any] = json.loads(row[0])[0]["Plan"]
    tables = sum("Relation Name" in node for node, _ in nodes(kept))
    planning = _PLANNING_COST * (tables + 1)
    return kept if kept["Total Cost"] <= planned.plan["Total Cost"] + planning else None


_PLANNING_COST: Final = 2.5
"""Of a table, as the server reckons it: a thousand times `cpu_operator_cost`."""
