"""Fills a database with a history: events, deliveries that ended, dead letters, and attempts.

Run as a process on a folder in which a server has run: ``python -m bench.fill FOLDER ATTEMPTS``.
Writes rows by SQL in the real tables, as many servers would have in weeks; each delivery has had
two attempts. Every fiftieth is a dead letter, every hundredth waits for a due time that is far off.
Prints the id of an event in the middle; that of its delivery differs in its kind alone.
"""

import sys
from pathlib import Path

import apsw

_PER_STATEMENT = 50_000
_STEP_MS = 200
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_TIME_BITS = range(45, -1, -5)
_STEPS = (
    # `drawn` is the rows to make: their number, moment, event, subscription and delivery.
    """INSERT INTO event (seq, tenant_id, event_id, event_type, occurred_at, body)
       SELECT at_ms << 20, 'default', 'evt' || id, 'area-' || (number % 100) || '.thing.changed',
              '2026-01-01T00:00:00Z', :body FROM drawn""",
    """INSERT INTO event_key (tenant_id, event_key, event_id, event_seq, content_hash, deliveries)
       SELECT 'default', 'evt' || id, 'evt' || id, at_ms << 20, zeroblob(16), 1 FROM drawn""",
    """INSERT INTO delivery (seq, delivery_id, tenant_id, subscription_id, event_seq, round,
                             attempt_count, schedule_position, is_single, due_at_ms)
       SELECT (at_ms << 20) + 1, 'dlv' || id, 'default', subscription_id, at_ms << 20, 0, 2, 2, 0,
              at_ms + 8640000000
       FROM drawn WHERE number % 100 = 1""",
    """INSERT INTO finished_delivery (tenant_id, delivery_id, subscription_id, event_seq, round,
                                      attempt_count, status, reason, finished_at_ms)
       SELECT 'default', 'dlv' || id, subscription_id, at_ms << 20, 0, 2,
              iif(number % 50 = 0, 'dead_lettered', 'delivered'),
              iif(number % 50 = 0, 'gone', NULL), at_ms + 100
       FROM drawn WHERE number % 100 <> 1""",
    """INSERT INTO attempt (delivery_id, number, attempt_id, round, started_at_ms, duration_ms,
                            outcome, status_code, error_class, sent_by, response_headers)
       SELECT 'dlv' || id, trial.column1, 'att' || id, 0, at_ms + trial.column1, 20,
              iif(trial.column1 = 1, 'failed', 'delivered'), iif(trial.column1 = 1, 500, 200),
              iif(trial.column1 = 1, 'http_status', NULL), '1', '[["content-type","text/plain"]]'
       FROM drawn CROSS JOIN (VALUES (1), (2)) AS trial""",
)
_BODY = b'{"eventId":"x","eventType":"area-1.thing.changed","data":{"padding":"%b"}}' % (b"x" * 80)


def fill(folder: Path, attempts: int) -> str:
    """Write so many attempts, newest last; answers the id of an event in the middle."""
    db = apsw.Connection(str(next(folder.glob("*.db"))))
    db.execute("PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -200000")
    names = [one for (one,) in db.execute("SELECT subscription_id FROM subscription").fetchall()]
    db.execute("CREATE TEMP TABLE taking (place INTEGER PRIMARY KEY, subscription_id TEXT)")
    db.executemany("INSERT INTO taking VALUES (?, ?)", list(enumerate(names)))
    (now_ms,) = db.execute("SELECT unixepoch() * 1000").fetchone() or (0,)
    events = attempts // 2
    began_ms = now_ms - events * _STEP_MS
    db.execute(
        "CREATE TEMP TABLE drawn (number INTEGER, at_ms INTEGER, id TEXT, subscription_id TEXT)"
    )
    digits = " || ".join(
        f"substr('{_ALPHABET}', ((at_ms >> {bits}) & 31) + 1, 1)" for bits in _ID_TIME_BITS
    )
    for first in range(0, events, _PER_STATEMENT):
        with db:
            db.execute("DELETE FROM drawn")
            db.execute(
                "INSERT INTO drawn WITH RECURSIVE numbers (number, at_ms) AS ("
                " VALUES (:first, :at_ms) UNION ALL"
                " SELECT number + 1, at_ms + :step FROM numbers WHERE number + 1 < :last)"
                f" SELECT number, at_ms, '_' || {digits} || printf('%016d', number),"
                " subscription_id FROM numbers JOIN taking ON place = number % :taking",
                {
                    "first": first,
                    "last": min(first + _PER_STATEMENT, events),
                    "at_ms": began_ms + first * _STEP_MS,
                    "step": _STEP_MS,
                    "taking": len(names),
                },
            )
            for step in _STEPS:
                db.execute(step, {"body": _BODY} if ":body" in step else ())
    db.execute(
        "UPDATE configuration SET last_seq = max(last_seq, (SELECT max(seq) + 1 FROM event))"
    )
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    middle = db.execute(
        "SELECT delivery_id FROM finished_delivery WHERE delivery_id > 'dlv_' || ("
        "SELECT substr(event_id, 5) FROM event WHERE seq > ? ORDER BY seq LIMIT 1) LIMIT 1",
        ((began_ms + events * _STEP_MS // 2) << 20,),
    ).fetchone()
    assert middle is not None
    db.close()
    return str(middle[0]).replace("dlv_", "evt_", 1)


if __name__ == "__main__":
    print(fill(Path(sys.argv[1]), int(sys.argv[2])))
