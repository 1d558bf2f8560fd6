"""Where the rules do not allow it, no connection is made.

Addresses outside of loopback are judged in `tests/core/test_addresses.py`, as values: here, every
address that a broken guard would connect to is one of this machine.
"""

from ipaddress import ip_network
from typing import Any

import pytest

from tests.contracts.transport.conftest import Client, FixedResolver
from tests.support.hostile_receiver import HostileReceiver, status
from tidings.core.addresses import LOOPBACK_NETWORKS, AddressRules
from tidings.core.attempt import Answer, ErrorClass, Outcome, outcome_of

NAME = "receiver.example.com"
STRICT = AddressRules(allow_http=True)


def rules(*networks: str, **others: Any) -> AddressRules:
    return AddressRules(
        allowed_networks=tuple(map(ip_network, networks)), allow_http=True, **others
    )


async def ask(client: Client, receiver: HostileReceiver, host: str, *, path: str = "/") -> Answer:
    receiver.on(path, status("200 OK"))
    return await client.post(receiver.url(path, host=host), seconds=5)


def expect_blocked(answer: Answer, receiver: HostileReceiver) -> None:
    assert answer.status_code is None
    assert answer.error_class is ErrorClass.BLOCKED_ADDRESS
    assert outcome_of(answer) is Outcome.BLOCKED
    assert answer.error_detail is not None
    assert "127.0.0" not in answer.error_detail.replace("127.0.0.1:", "")
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.01",
        "0",
        "localhost",
        "localhost.",
        "a.localhost",
        "receiver",
    ],
)
async def test_what_is_written_into_a_url_is_judged(
    client: Client, receiver: HostileReceiver, host: str
) -> None:
    await client.make(STRICT, resolver=FixedResolver({host: ["127.0.0.1"]}))
    expect_blocked(await ask(client, receiver, host), receiver)


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["127.0.0.2", "127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["0.0.0.0"],
        ["::"],
        ["::1%lo"],
        ["127.1"],
        ["nonsense"],
    ],
)
async def test_what_a_name_leads_to_is_judged(
    client: Client, receiver: HostileReceiver, addresses: list[str]
) -> None:
    await client.make(STRICT, names={NAME: addresses})
    expect_blocked(await ask(client, receiver, NAME), receiver)


async def test_one_wrong_address_refuses_the_name(
    client: Client, receiver: HostileReceiver
) -> None:
    await client.make(rules("127.0.0.1/32"), names={NAME: ["127.0.0.1", "127.0.0.2"]})
    expect_blocked(await ask(client, receiver, NAME), receiver)


async def test_a_denied_network_wins_over_an_allowed_one(
    client: Client, receiver: HostileReceiver
) -> None:
    one = rules("127.0.0.0/8", denied_networks=(ip_network("127.0.0.1/32"),))
    await client.make(one, names={NAME: ["127.0.0.1"]})
    expect_blocked(await ask(client, receiver, NAME), receiver)
    expect_blocked(await ask(client, receiver, "127.0.0.1"), receiver)


async def test_a_port_that_is_not_allowed_is_refused(
    client: Client, receiver: HostileReceiver
) -> None:
    await client.make(rules("127.0.0.0/8", allowed_ports=frozenset({1})))
    expect_blocked(await ask(client, receiver, "127.0.0.1"), receiver)


async def test_a_host_that_is_not_allowed_is_refused(
    client: Client, receiver: HostileReceiver
) -> None:
    one = rules("127.0.0.0/8", allowed_hosts=frozenset({NAME}))
    await client.make(one, names={NAME: ["127.0.0.1"], "other.example.com": ["127.0.0.1"]})
    expect_blocked(await ask(client, receiver, "other.example.com"), receiver)
    assert (await ask(client, receiver, NAME)).status_code == 200


async def test_http_is_refused_where_only_https_is_allowed(
    client: Client, receiver: HostileReceiver
) -> None:
    await client.make(AddressRules(allowed_networks=LOOPBACK_NETWORKS))
    expect_blocked(await ask(client, receiver, "127.0.0.1"), receiver)


async def test_we_do_not_call_ourselves(client: Client, receiver: HostileReceiver) -> None:
    own = frozenset({("127.0.0.1", receiver.port)})
    await client.make(rules("127.0.0.0/8", own_origins=own))
    expect_blocked(await ask(client, receiver, "127.0.0.1"), receiver)


@pytest.mark.parametrize("host", ["receiver", "receiver.internal", "localhost", NAME])
async def test_an_internal_name_may_lead_to_an_allowed_network(
    client: Client, receiver: HostileReceiver, host: str
) -> None:
    await client.make(rules("127.0.0.1/32"), names={host: ["127.0.0.1"]})
    assert (await ask(client, receiver, host)).status_code == 200


async def test_a_name_that_changes_its_address_is_judged_again(
    client: Client, receiver: HostileReceiver
) -> None:
    resolver = FixedResolver({NAME: ["127.0.0.1"]})
    await client.make(rules("127.0.0.1/32"), resolver=resolver)
    receiver.on("/", status("200 OK", "Connection: close"))
    url = receiver.url("/", host=NAME)
    assert (await client.post(url)).status_code == 200
    resolver.names[NAME] = ["127.0.0.2"]
    assert (await client.post(url)).error_class is ErrorClass.BLOCKED_ADDRESS
    assert receiver.connections == 1


async def test_a_name_is_not_asked_for_a_second_time_between_judging_and_connecting(
    client: Client, receiver: HostileReceiver
) -> None:
    class Rebinding:
        """Names a right address first, and a wrong one from then on."""

        asked = 0

        async def resolve(self, host: str) -> list[str]:
            self.asked += 1
            return ["127.0.0.1"] if self.asked == 1 else ["127.0.0.2"]

    resolver = Rebinding()
    await client.make(rules("127.0.0.1/32"), resolver=resolver)
    assert (await ask(client, receiver, NAME)).status_code == 200
    assert resolver.asked == 1
