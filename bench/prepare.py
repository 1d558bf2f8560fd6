"""Fills a data directory with subscriptions before the server is started on it.

Run as a process: ``python -m bench.prepare FOLDER SUBSCRIPTIONS URL EVENT_TYPE``. In URL and
EVENT_TYPE, ``{0}`` stands for the number of the subscription. This does what as many requests to
the API would do, but for the HTTP.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from tidings.operations.wish import Wish
from tidings.settings import Settings
from tidings.wiring import running

_AT_ONCE = 1_000


async def subscribe(folder: str, subscriptions: int, url: str, event_type: str) -> None:
    """Create the subscriptions."""
    settings = Settings.load(overrides={"data_dir": Path(folder)})
    async with running(settings, is_dev=True) as services:
        for first in range(0, subscriptions, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, subscriptions))
            wishes = [Wish(event_type.format(number), url.format(number)) for number in numbers]
            await asyncio.gather(
                *(services.subscriptions.create("default", wish) for wish in wishes)
            )


if __name__ == "__main__":
    folder_, subscriptions_, url_, event_type_ = sys.argv[1:5]
    uvloop.run(subscribe(folder_, int(subscriptions_), url_, event_type_))
