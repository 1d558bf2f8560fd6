"""The part of the log of events that can still be read, and who comes too late for the rest."""

import msgspec


class EventSpan(msgspec.Struct, frozen=True, gc=False):
    """Where the log of events begins and ends, in the order of commits.

    Events up to `deleted_seq` may have been deleted for their age. `newest_seq` is the last number
    that was drawn: whatever is committed later has a higher one.
    """

    deleted_seq: int
    newest_seq: int

    def place_after(self, seq: int) -> int:
        """Where somebody goes on who has read everything up to `seq`.

        It is another place where events are missing between: those behind `seq` were deleted, or
        the database was put back to an earlier state and has never come as far as `seq`.
        """
        if seq > self.newest_seq:
            return self.newest_seq
        return max(seq, self.deleted_seq)
