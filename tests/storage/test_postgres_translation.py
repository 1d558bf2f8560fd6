"""The shared statements become PostgreSQL's, and what stands in quotes stays as it is."""

import pytest

from tidings.storage.postgres.address import postgres_address
from tidings.storage.postgres.translation import over_rows, translated


@pytest.mark.parametrize(
    ("sql", "bindings", "text", "values"),
    [
        ("SELECT ?, ?", (1, 2), "SELECT $1, $2", [1, 2]),
        ("SELECT ?2, ?1, ?2", (1, 2), "SELECT $1, $2, $1", [2, 1]),
        ("a = ?2 AND b = ?1 AND c = ?", (1, 2, 3), "a = $1 AND b = $2 AND c = $3", [2, 1, 3]),
        ("SELECT '?', \"?\", 'it''s ?' -- ?\n, ?", (1,), None, [1]),
        ("?1 IS NULL OR a = ?1", (None,), "TRUE OR a = $1", [None]),
        ("?1 IS NULL OR a = ?1", ("x",), "FALSE OR a = $1", ["x"]),
        ("? is not null AND b = ?", (1, 2), "TRUE AND b = $1", [2]),
        ("? IS NOT NULL AND b = ?", (None, 2), "FALSE AND b = $1", [2]),
        ("FROM a CROSS JOIN b ON a.x = b.x", (), "FROM a JOIN b ON a.x = b.x", []),
        (
            "FROM a x INDEXED BY some_index CROSS JOIN b ON x.y = b.y",
            (),
            "FROM a x JOIN b ON x.y = b.y",
            [],
        ),
        ("FROM a CROSS JOIN b c ON c.x = ?", (1,), "FROM a JOIN b c ON c.x = $1", [1]),
        ("FROM a cross join b AS c ON TRUE", (), "FROM a join b AS c ON TRUE", []),
        (
            "FROM a CROSS JOIN (SELECT max(x) FROM (SELECT 1)) c ON TRUE",
            (),
            "FROM a JOIN (SELECT max(x) FROM (SELECT 1)) c ON TRUE",
            [],
        ),
        ("FROM a CROSS JOIN b WHERE a.x = b.x", (), "FROM a CROSS JOIN b WHERE a.x = b.x", []),
        ("WHERE +d.x = ? AND +y > ?", (1, 2), "WHERE d.x = $1 AND y > $2", [1, 2]),
        ("ORDER BY +x", (), "ORDER BY x", []),
        ("SELECT a +b, 'x AND +y'", (), "SELECT a +b, 'x AND +y'", []),
    ],
)
def test_a_statement_is_translated(
    sql: str, bindings: tuple[object, ...], text: str | None, values: list[object]
) -> None:
    translation = translated(sql)
    expected = text or sql[:-1] + "$1"
    assert translation.bound(bindings) == (expected, values)


def test_values_that_are_missing_or_too_many_are_a_bug() -> None:
    for bindings in [(), (1, 2)]:
        with pytest.raises(AssertionError):
            translated("SELECT ?").bound(bindings)


def test_rows_become_arrays_of_columns() -> None:
    assert over_rows("INSERT INTO a", "RETURNING 'b?', +c", "itbf") == (
        "INSERT INTO a SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[],"
        " $4::double precision[]) AS given (column1, column2, column3, column4)"
        " RETURNING 'b?', +c"
    )


def test_a_url_says_whether_a_pooler_stands_before_the_server() -> None:
    plain = postgres_address("postgresql://u:p@h:1/d?sslmode=require&tcp_user_timeout=5")
    assert (plain.has_pooler, plain.connect_seconds) == (False, 5)
    assert plain.dsn == "postgresql://u:p@h:1/d?sslmode=require&target_session_attrs=read-write"
    pooled = postgres_address("postgres://h1,h2:2/d?pooler=transaction&connect_timeout=2")
    assert (pooled.has_pooler, pooled.connect_seconds) == (True, 2)
    assert pooled.dsn == "postgres://h1,h2:2/d"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/d",
        "postgresql://u:secret@h/d?pooler=session",
        "postgresql://u:secret@h/d?connect_timeout=soon",
        "postgresql://u:secret@h/d?connect_timeout=0",
    ],
)
def test_a_url_that_says_nonsense_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"postgresql://|pooler|connect_timeout") as refused:
        postgres_address(url)
    assert "secret" not in str(refused.value)
