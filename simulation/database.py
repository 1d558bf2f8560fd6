"""The database of a world: in memory, outliving processes, failing on request, and witnessed.

Temporary triggers tell every change of a row; what they tell counts only once it is committed, so
that checkers see the database at rest and nothing else.
"""

from collections.abc import Callable
from typing import Any

import apsw

from simulation import facts
from tidings.storage.sqlite.connection import STATEMENTS_CACHED, migrate, prepare
from tidings.storage.sqlite.statements import SqliteConnection

_FACTS: dict[str, type[facts.Fact]] = {
    made.__name__: made
    for made in (
        facts.SubscriptionStored,
        facts.SubscriptionErased,
        facts.EventStored,
        facts.EventEmptied,
        facts.EventErased,
        facts.RowQueued,
        facts.RowChanged,
        facts.RowLeft,
        facts.FinishedStored,
        facts.FinishedErased,
        facts.AttemptStored,
        facts.ReplayStored,
        facts.ReplayErased,
    )
}
_WITNESSED = (
    ("subscription", "INSERT", "SubscriptionStored", "NEW"),
    ("subscription", "UPDATE", "SubscriptionStored", "NEW"),
    ("subscription", "DELETE", "SubscriptionErased", "OLD"),
    ("event", "INSERT", "EventStored", "NEW"),
    ("event", "UPDATE OF body", "EventEmptied", "NEW"),
    ("event", "DELETE", "EventErased", "OLD"),
    ("delivery", "INSERT", "RowQueued", "NEW"),
    ("delivery", "UPDATE", "RowChanged", "NEW"),
    ("delivery", "DELETE", "RowLeft", "OLD"),
    ("finished_delivery", "INSERT", "FinishedStored", "NEW"),
    ("finished_delivery", "UPDATE", "FinishedStored", "NEW"),
    ("finished_delivery", "DELETE", "FinishedErased", "OLD"),
    ("attempt", "INSERT", "AttemptStored", "NEW"),
    ("replay", "INSERT", "ReplayStored", "NEW"),
    ("replay", "UPDATE", "ReplayStored", "NEW"),
    ("replay", "DELETE", "ReplayErased", "OLD"),
)
Told = Callable[[facts.Fact], None]


class WitnessedDatabase(SqliteConnection):
    """One connection on a database in memory, for the writer and the readers of every process."""

    def __init__(self, tell: Told) -> None:
        super().__init__(":memory:", statementcachesize=STATEMENTS_CACHED)
        self._tell = tell
        self.commits = 0
        self._noted: list[facts.Fact] = []
        self._mark = 0
        self._statements_left = -1
        self._fault: Exception | None = None
        prepare(self)
        migrate(self)
        # Without this a REPLACE would remove a row unseen.
        super().execute("PRAGMA recursive_triggers = ON")
        self.create_scalar_function("witness", self._note, -1)
        for number, (table, change, fact, row) in enumerate(_WITNESSED):
            super().execute(_trigger(number, table, change, fact, row))

    def fail_after(self, statements: int, fault: Exception) -> None:
        """Have the next transaction fail after so many statements, at its commit at the latest."""
        self._statements_left, self._fault = statements, fault

    def execute(self, statements: str, *arguments: Any, **options: Any) -> apsw.Cursor:
        """Run statements, or fail; keep what was witnessed in step with the transaction."""
        fault = self._fault
        if fault is not None:
            is_last = statements == "COMMIT"
            if self._statements_left <= 0 or is_last:
                self._fault = None
                raise fault
            self._statements_left -= 1
        cursor = super().execute(statements, *arguments, **options)
        if statements in _BOUNDARIES:
            self._cross(statements)
        return cursor

    def _cross(self, boundary: str) -> None:
        noted = self._noted
        if boundary == "COMMIT":
            self._noted = []
            for fact in noted:
                self._tell(fact)
            if noted:
                self.commits += 1
                self._tell(facts.Committed(self.commits))
        elif boundary.startswith("SAVEPOINT"):
            self._mark = len(noted)
        elif boundary.startswith("ROLLBACK TO"):
            del noted[self._mark :]
        elif boundary == "ROLLBACK":
            noted.clear()

    def _note(self, *values: Any) -> None:
        kind, *members = values
        self._noted.append(_FACTS[kind](*members))


_BOUNDARIES = frozenset(
    {"COMMIT", "ROLLBACK", "SAVEPOINT one_write", "ROLLBACK TO one_write"},
)


def _trigger(number: int, table: str, change: str, fact: str, row: str) -> str:
    columns = [f"{row}.{name}" for name in _FACTS[fact].__struct_fields__ if name != "was"]
    if fact == "FinishedStored":
        columns.append("OLD.status" if change == "UPDATE" else "NULL")
    return (
        f"CREATE TEMP TRIGGER witness_{number} AFTER {change} ON main.{table}"
        f" BEGIN SELECT witness('{fact}', {', '.join(columns)}); END"
    )
