"""What the server says to the person who started it, beside its log."""

import sys


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
