"""What a store offers besides to several processes that share it.

Here a process is told only of what it has committed itself. It reads what others have, in the
order of `seq`, which is that of commits.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from tidings.core.delivery import Delivery
from tidings.core.health import Health
from tidings.core.ownership import Statement
from tidings.ports.store import Store


class Arrivals(msgspec.Struct, frozen=True):
    """What has come about in some shards; apply the members in the order in which they stand here.

    `ended` are rows that others have ended: `seq`, subscription and ordering key are theirs, the
    rest is unimportant. `changed` are rows as they stand now that others have changed: asked for by
    hand, or become heads of their lanes. `rows` are new ones, in the order of `seq`. Everything up
    to `through_seq` was looked at, and all of it is committed.
    """

    rows: list[Delivery]
    changed: list[Delivery]
    ended: list[Delivery]
    through_seq: int


class ClusterStore(Store, Protocol):
    """A store that several processes share."""

    async def coordinate(self, statement: Statement) -> object:
        """Carry out a statement about ownership; answers what the statement's docstring says."""
        ...

    async def list_silences(self, shards: Collection[int]) -> dict[int, int]:
        """For how many ms more lost owners of these shards may have requests on their way.

        Shards of which nobody has are missing.
        """
        ...

    async def newest_seq(self) -> int:
        """The highest `seq` of all that is committed."""
        ...

    async def read_arrivals(
        self, *, after_seq: int, shards: Collection[int], limit: int
    ) -> Arrivals:
        """New rows of these shards above `after_seq`, at most `limit`, and what others changed."""
        ...

    async def load_healths(self, subscription_ids: Collection[str]) -> dict[str, Health]:
        """What is stored of these endpoints' health; healthy ones are missing."""
        ...

    async def postpone(self, due_at_ms: Mapping[int, int]) -> None:
        """Give rows that still stand this due time. Raises `SessionLost`."""
        ...

    def use_session(self, session: str | None) -> None:
        """Fence what this process writes as an owner by this session; None lets it write nothing.

        That are results, settled and held deliveries, steps of replays, and due times put off; not
        roll-ups without results.
        """
        ...

    async def count_unfinished(self, seqs: Collection[int]) -> int:
        """How many of these rows still stand in the queue."""
        ...
