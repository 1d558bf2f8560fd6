"""Waiting for what will be true soon, without guessing how soon."""

import asyncio
from collections.abc import Callable


async def eventually(is_true: Callable[[], bool], *, seconds: float = 40) -> None:
    """Wait until something holds; fail if it does not in time."""
    async with asyncio.timeout(seconds):
        while not is_true():  # noqa: ASYNC110 - whoever makes it true tells nobody
            await asyncio.sleep(0.005)
