"""Whether this process may send, as those see it who do not care why."""


class Lease:
    """Whether requests may start; always, for a process that has everything to itself."""

    def holds(self) -> bool:
        """Whether nobody else may be working on what is ours."""
        return True

    def fenced(self) -> None:
        """Learn that something could not be written because the session is gone."""
