"""The queries by which operators watch a database can be asked, and answer what the page says."""

import re

import pytest

from tests.tidy.checkout import ROOT, text
from tidings.core import limits
from tidings.storage.postgres.connection import PostgresConnection
from tidings.storage.postgres.partitions import make_partitions_ahead
from tidings.system import SystemClock

_QUERIES = re.findall(
    r"^```sql\n(.*?)^```$", text(ROOT / "docs" / "operations.md"), re.MULTILINE | re.DOTALL
)


def rows(db: PostgresConnection, about: str) -> list[tuple[object, ...]]:
    """What the one query answers that speaks of this."""
    (query,) = (one for one in _QUERIES if about in one)
    return [tuple(row) for row in db.execute(query.rstrip().rstrip(";"))]


@pytest.mark.parametrize("query", _QUERIES, ids=range(len(_QUERIES)))
def test_a_query_can_be_asked(postgres: PostgresConnection, query: str) -> None:
    postgres.run_script(query)


def test_shards_without_owner_are_counted(postgres: PostgresConnection) -> None:
    about = "shards_without_owner"
    assert rows(postgres, about) == [(limits.SHARDS,)]
    postgres.run_script(
        "INSERT INTO worker VALUES ('a', now() + interval '8 s'), ('b', now() - interval '1 s');"
        " UPDATE shard SET owner = CASE WHEN shard < 100 THEN 'a' WHEN shard < 200 THEN 'b' END"
    )
    assert rows(postgres, about) == [(limits.SHARDS - 100,)]
    (first, second) = rows(postgres, "lease_age")
    assert (first[:2], second[:2]) == (("a", 100), ("b", 100))


def test_days_ahead_are_counted(postgres: PostgresConnection) -> None:
    make_partitions_ahead(postgres, SystemClock().now_ms())
    found = rows(postgres, "AS ahead")
    assert {log for log, _ in found} == {"event", "finished_delivery", "attempt"}
    # Midnight may pass in between.
    assert {days for _, days in found} <= {
        limits.PARTITION_DAYS_AHEAD,
        limits.PARTITION_DAYS_AHEAD - 1,
    }


def test_the_age_of_the_oldest_delivery_is_that_of_its_number(postgres: PostgresConnection) -> None:
    assert rows(postgres, "AS oldest") == [(None,)]
