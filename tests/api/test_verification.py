"""Proof that an endpoint wants events, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_world import ApiWorld, api_world
from tests.support.problems import expect_problem
from tests.support.waiting import eventually
from tidings.core import limits
from tidings.core.attempt import Answer, ErrorClass
from tidings.core.subscription import Subscription
from tidings.core.trial_limits import TrialLimits
from tidings.core.verification import Verification

OTHER_URL = "https://other.example.com/in"


@pytest.fixture
async def required(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    """A proof is required, and every endpoint gives one."""
    async with api_world(tmp_path, verification=Verification.REQUIRED) as one:
        one.answer = echo
        yield one


@pytest.fixture
async def optional(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    async with api_world(tmp_path, verification=Verification.OPTIONAL) as one:
        one.answer = echo
        yield one


def challenge_in(body: bytes) -> str:
    """The challenge that an endpoint was sent."""
    event = json.loads(body)
    assert event["eventType"] == "tidings.verification"
    assert set(event) == {"eventId", "eventType", "occurredAt", "data"}
    challenge = event["data"].pop("challenge")
    assert not event["data"]
    assert isinstance(challenge, str)
    return challenge


def echo(_: Subscription, body: bytes) -> Answer:
    return Answer(200, body=json.dumps({"challenge": challenge_in(body)}).encode())


async def shown(world: ApiWorld, subscription: Any) -> Any:
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}"
    return (await world.client.get(path)).json()


async def verify(world: ApiWorld, subscription: Any) -> Any:
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}/verify"
    return await world.client.post(path)


async def act(world: ApiWorld, subscription: Any, action: str) -> Any:
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}/{action}"
    return await world.client.post(path)


async def patch(world: ApiWorld, subscription: Any, **members: Any) -> Any:
    path = f"/webhook-subscriptions/{subscription['subscriptionId']}"
    answer = await world.client.patch(path, json=members)
    assert answer.status_code == 200, answer.text
    return answer.json()


# --- required ------------------------------------------------------------------------------------


async def test_nothing_is_sent_or_collected_before_the_proof(required: ApiWorld) -> None:
    created = await required.subscribe()
    assert (created["status"], created["verifiedAt"]) == ("pending_verification", None)
    assert (await required.publish())["deliveries"] == 0
    for action in ("test", "replay", "pause", "resume"):
        expect_problem(await act(required, created, action), 409, "invalid_state")
    assert required.trials_sent == []
    assert await required.deliveries() == []


async def test_an_endpoint_that_says_the_challenge_back_is_active(required: ApiWorld) -> None:
    created = await required.subscribe()
    answer = await verify(required, created)
    assert answer.status_code == 200
    active = answer.json()
    assert (active["status"], active["callbackUrl"]) == ("active", created["callbackUrl"])
    assert active["verifiedAt"] == active["updatedAt"]
    assert answer.headers["etag"] == f'"{created["subscriptionId"]}.2"'
    assert active == await shown(required, created)
    assert (await required.publish())["deliveries"] == 1
    ((to, event_id, body),) = required.trials_sent
    assert to.subscription_id == created["subscriptionId"]
    assert json.loads(body)["eventId"] == event_id
    expect_problem(await required.client.get(f"/events/{event_id}"), 404, "not_found")


async def test_what_is_proven_is_not_asked_again(required: ApiWorld) -> None:
    created = await required.subscribe()
    first = await verify(required, created)
    again = await verify(required, created)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["etag"] == first.headers["etag"]
    assert len(required.trials_sent) == 1


async def test_every_challenge_is_a_new_one(required: ApiWorld) -> None:
    created = await required.subscribe()
    required.answer = lambda *_: Answer(200)
    for _ in range(3):
        await verify(required, created)
    challenges = [challenge_in(body) for _, _, body in required.trials_sent]
    assert len(set(challenges)) == 3
    assert all(len(one) >= 128 / 6 for one in challenges)


async def test_the_challenge_of_an_earlier_request_proves_nothing(required: ApiWorld) -> None:
    created = await required.subscribe()
    told: list[str] = []

    def repeat_the_last(_: Subscription, body: bytes) -> Answer:
        told.append(challenge_in(body))
        return Answer(200, body=told[-2].encode() if told[1:] else b"")

    required.answer = repeat_the_last
    for _ in range(2):
        problem = expect_problem(await verify(required, created), 409, "invalid_state")
        assert problem["errorClass"] == "bad_challenge"
    assert (await shown(required, created))["status"] == "pending_verification"


_LOOSE = "10.1.2.3 SSH-2.0-OpenSSH_9.6 root:x:0:0"


@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        (Answer(200, body=_LOOSE.encode()), "bad_challenge"),
        (Answer(404, body=_LOOSE.encode()), "http_status"),
        (Answer(410, body=_LOOSE.encode()), "http_status"),
        (Answer(302, headers=(("location", _LOOSE),)), "http_status"),
        *[
            (Answer(error_class=one, error_detail=_LOOSE), one.value)
            for one in ErrorClass
            if one not in (ErrorClass.INTERNAL, ErrorClass.HTTP_STATUS)
        ],
    ],
)
async def test_a_failed_proof_tells_its_class_and_nothing_that_was_found_there(
    required: ApiWorld, answer: Answer, error_class: str
) -> None:
    created = await required.subscribe()
    required.answer = lambda *_: answer
    refused = await verify(required, created)
    problem = expect_problem(refused, 409, "invalid_state")
    assert problem["errorClass"] == error_class
    assert "still pending_verification" in problem["detail"]
    for loose in _LOOSE.split():
        assert loose not in refused.text
    assert await shown(required, created) == {
        name: value for name, value in created.items() if "ecret" not in name
    }
    required.answer = echo
    assert (await verify(required, created)).json()["status"] == "active"


async def test_a_fault_of_ours_is_not_laid_on_the_endpoint(required: ApiWorld) -> None:
    created = await required.subscribe()
    required.answer = lambda *_: Answer(error_class=ErrorClass.INTERNAL, error_detail="a bug")
    refused = await verify(required, created)
    problem = expect_problem(refused, 503, "unavailable")
    assert "errorClass" not in problem
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("before", ["active", "paused", "disabled", "pending_verification"])
async def test_a_changed_url_starts_over(required: ApiWorld, before: str) -> None:
    created = await required.subscribe(headers={"X-Token": "for the old endpoint alone"})
    if before != "pending_verification":
        await verify(required, created)
    if before in ("paused", "disabled"):
        await act(required, created, before.removesuffix("d"))
    assert (await shown(required, created))["status"] == before
    changed = await patch(required, created, callbackUrl=OTHER_URL)
    assert (changed["status"], changed["verifiedAt"]) == ("pending_verification", None)
    assert (changed["disabledReason"], changed["headerNames"]) == (None, [])
    required.trials_sent.clear()
    active = (await verify(required, created)).json()
    assert (active["status"], active["callbackUrl"]) == ("active", OTHER_URL)
    ((to, _, _),) = required.trials_sent
    assert (to.callback_url, to.headers) == (OTHER_URL, ())
    assert [one.secret for one in to.secrets] == [created["secret"]]


async def test_a_url_that_comes_back_is_proven_again(required: ApiWorld) -> None:
    created = await required.subscribe()
    await verify(required, created)
    await patch(required, created, callbackUrl=OTHER_URL)
    back = await patch(required, created, callbackUrl=created["callbackUrl"])
    assert (back["status"], back["verifiedAt"]) == ("pending_verification", None)
    assert (await required.publish())["deliveries"] == 0


async def test_any_other_change_needs_no_new_proof(required: ApiWorld) -> None:
    created = await required.subscribe()
    first = (await verify(required, created)).json()
    changed = await patch(
        required, created, eventType="a.b", timeoutSeconds=3, callbackUrl=created["callbackUrl"]
    )
    assert changed["status"] == "active"
    assert changed["verifiedAt"] == first["verifiedAt"]


async def test_a_resume_is_no_way_around_the_proof(required: ApiWorld) -> None:
    created = await required.subscribe()
    assert (await act(required, created, "disable")).json()["status"] == "disabled"
    expect_problem(await verify(required, created), 409, "invalid_state")
    resumed = await act(required, created, "resume")
    assert resumed.status_code == 200
    assert resumed.json()["status"] == "pending_verification"
    assert required.trials_sent == []
    await verify(required, created)
    await act(required, created, "disable")
    assert (await act(required, created, "resume")).json()["status"] == "active"


class Meanwhile:
    """Something that happens while a challenge is on its way."""

    def __init__(self, world: ApiWorld) -> None:
        self.steps: list[Any] = []
        self.waiting = 0
        inner = world.services.trials._send

        async def send(subscription: Subscription, event_id: str, body: bytes) -> Any:
            self.waiting += 1
            for step in self.steps:
                await step()
            self.waiting -= 1
            return await inner(subscription, event_id, body)

        world.services.trials._send = send


async def test_a_challenge_said_back_by_the_old_url_does_not_prove_the_new_one(
    required: ApiWorld,
) -> None:
    created = await required.subscribe()
    Meanwhile(required).steps.append(lambda: patch(required, created, callbackUrl=OTHER_URL))
    problem = expect_problem(await verify(required, created), 409, "invalid_state")
    assert "changed meanwhile" in problem["detail"]
    ((to, _, _),) = required.trials_sent
    assert to.callback_url == created["callbackUrl"]
    after = await shown(required, created)
    assert (after["status"], after["callbackUrl"]) == ("pending_verification", OTHER_URL)


async def test_a_proof_does_not_bring_back_what_was_switched_off_meanwhile(
    required: ApiWorld,
) -> None:
    created = await required.subscribe()
    meanwhile = Meanwhile(required)
    meanwhile.steps.append(lambda: act(required, created, "disable"))
    expect_problem(await verify(required, created), 409, "invalid_state")
    assert (await shown(required, created))["status"] == "disabled"
    await act(required, created, "resume")
    path = f"/webhook-subscriptions/{created['subscriptionId']}"
    meanwhile.steps[:] = [lambda: required.client.delete(path)]
    expect_problem(await verify(required, created), 404, "not_found")


async def test_what_else_was_changed_meanwhile_is_kept(required: ApiWorld) -> None:
    created = await required.subscribe()
    Meanwhile(required).steps.append(lambda: patch(required, created, description="new"))
    active = (await verify(required, created)).json()
    assert (active["status"], active["description"]) == ("active", "new")


# --- optional and off ----------------------------------------------------------------------------


async def test_where_it_is_optional_a_proof_shows_and_nothing_waits_for_it(
    optional: ApiWorld,
) -> None:
    created = await optional.subscribe()
    assert (created["status"], created["verifiedAt"]) == ("active", None)
    proved = (await verify(optional, created)).json()
    assert proved["status"] == "active"
    assert proved["verifiedAt"] is not None
    changed = await patch(optional, created, callbackUrl=OTHER_URL)
    assert (changed["status"], changed["verifiedAt"]) == ("active", None)
    optional.answer = lambda *_: Answer(200)
    problem = expect_problem(await verify(optional, created), 409, "invalid_state")
    assert problem["errorClass"] == "bad_challenge"
    assert (await shown(optional, created))["status"] == "active"


async def test_where_it_is_off_no_challenge_is_sent(world: ApiWorld) -> None:
    created = await world.subscribe()
    answer = await verify(world, created)
    assert answer.status_code == 200
    assert answer.json() == await shown(world, created)
    assert answer.headers["etag"] == f'"{created["subscriptionId"]}.1"'
    assert world.trials_sent == []


async def test_what_waited_for_a_proof_is_freed_where_none_is_asked_for_any_more(
    tmp_path: Path,
) -> None:
    async with api_world(tmp_path, verification=Verification.REQUIRED) as before:
        created = await before.subscribe()
    async with api_world(tmp_path) as after:
        assert (await shown(after, created))["status"] == "pending_verification"
        freed = (await verify(after, created)).json()
        assert (freed["status"], freed["verifiedAt"]) == ("active", None)
        assert after.trials_sent == []


# --- how often -----------------------------------------------------------------------------------


async def test_challenges_make_no_scanner(required: ApiWorld) -> None:
    required.answer = lambda *_: Answer(error_class=ErrorClass.CONNECTION_REFUSED)
    required.clock.stands_at_ms = 0
    ports = range(1, limits.CHALLENGES_PER_MINUTE_MAX + 3)
    found = [
        await required.subscribe(callbackUrl=f"https://victim.example.com:{port}/")
        for port in ports
    ]
    answers = [await verify(required, one) for one in found]
    assert [one.status_code for one in answers] == [
        *[409] * limits.CHALLENGES_PER_MINUTE_MAX,
        *[429] * 2,
    ]
    expect_problem(answers[-1], 429, "rate_limited")
    assert 0 < int(answers[-1].headers["retry-after"]) <= 3
    assert len(required.trials_sent) == limits.CHALLENGES_PER_MINUTE_MAX
    other = await required.subscribe(tenantId="other")
    path = f"/webhook-subscriptions/{other['subscriptionId']}/verify"
    assert (await required.client.post(path, params={"tenantId": "other"})).status_code == 409


async def test_what_is_proven_can_be_asked_for_as_often_as_one_likes(required: ApiWorld) -> None:
    created = await required.subscribe()
    for _ in range(limits.CHALLENGES_PER_MINUTE_MAX + 5):
        assert (await verify(required, created)).status_code == 200


async def test_tests_make_no_scanner(world: ApiWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.services.trials, "_tests", TrialLimits(per_minute=2))
    created = await world.subscribe()
    answers = [await act(world, created, "test") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    expect_problem(answers[-1], 429, "rate_limited")
    assert len(world.trials_sent) == 2


async def test_an_endpoint_that_hangs_holds_only_so_many_tests(world: ApiWorld) -> None:
    created = await world.subscribe()
    is_over = asyncio.Event()
    meanwhile = Meanwhile(world)
    meanwhile.steps.append(is_over.wait)
    hanging = [
        asyncio.create_task(act(world, created, "test"))
        for _ in range(limits.TRIALS_IN_FLIGHT_OF_HOST_MAX)
    ]
    await eventually(lambda: meanwhile.waiting == len(hanging))
    expect_problem(await act(world, created, "test"), 429, "rate_limited")
    is_over.set()
    assert {(await one).status_code for one in hanging} == {200}
    assert (await act(world, created, "test")).status_code == 200


# --- who may -------------------------------------------------------------------------------------


async def test_an_unknown_or_foreign_subscription_is_not_found(required: ApiWorld) -> None:
    created = await required.subscribe(tenantId="acme")
    expect_problem(await verify(required, created), 404, "not_found")
    expect_problem(await verify(required, {"subscriptionId": "sub_none"}), 404, "not_found")
    assert required.trials_sent == []


@pytest.fixture(autouse=True)
def no_challenge_is_stored(tmp_path: Path) -> Iterator[None]:
    """Whatever a test does: nothing of a challenge outlives its request."""
    yield
    for path in tmp_path.glob("tidings.db*"):
        assert b"tidings.verification" not in path.read_bytes()
