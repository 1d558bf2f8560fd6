"""Names are looked up without a search domain, without a thread each, and without waiting long."""

import asyncio
from collections.abc import Sequence

import pytest

from tidings.core import limits
from tidings.transport.resolving import NameNotResolved, SharedLookups, SystemResolver


async def test_loopback_has_its_name() -> None:
    resolver = SystemResolver()
    try:
        assert "127.0.0.1" in await resolver.resolve("localhost")
    finally:
        await resolver.close()


# No name server is asked for either: RFC 7686 forbids it for one, the other is no name.
@pytest.mark.parametrize("host", ["a.onion", "a..b"])
async def test_a_name_without_an_address_is_told(host: str) -> None:
    resolver = SystemResolver()
    try:
        with pytest.raises(NameNotResolved):
            await resolver.resolve(host)
    finally:
        await resolver.close()


async def test_a_resolver_that_was_never_asked_has_nothing_to_close() -> None:
    await SystemResolver().close()


class Slow:
    """Answers when it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: asyncio.Future[Sequence[str]] = asyncio.get_running_loop().create_future()

    async def resolve(self, host: str) -> Sequence[str]:
        self.asked += 1
        return await self.answer


async def test_a_name_is_looked_up_once_at_a_time() -> None:
    slow = Slow()
    lookups = SharedLookups(slow)
    asking = [asyncio.create_task(lookups.addresses("a.example.com")) for _ in range(10)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    slow.answer.set_result(["127.0.0.1"])
    assert await asyncio.gather(*asking[1:]) == [["127.0.0.1"]] * 9
    assert slow.asked == 1
    await lookups.addresses("a.example.com")
    assert slow.asked == 2


async def test_a_look_up_that_fails_fails_for_all_who_wait() -> None:
    slow = Slow()
    lookups = SharedLookups(slow)
    asking = [asyncio.create_task(lookups.addresses("a.example.com")) for _ in range(3)]
    await asyncio.sleep(0)
    slow.answer.set_exception(OSError("no"))
    for one in asking:
        with pytest.raises(NameNotResolved):
            await one


async def test_a_look_up_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOOKUP_SECONDS_MAX", 0.05)
    with pytest.raises(NameNotResolved, match="too long"):
        await SharedLookups(Slow()).addresses("a.example.com")


async def test_closing_gives_up_what_is_looked_up() -> None:
    lookups = SharedLookups(Slow())
    asking = asyncio.create_task(lookups.addresses("a.example.com"))
    await asyncio.sleep(0)
    await lookups.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
