"""Talking to a server that is not there, is another, or says no."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.receiver import Receiver, Reply
from tools.ports import free_port

_PROBLEM = {
    "type": "about:blank",
    "title": "T",
    "status": 409,
    "detail": "the subscription is disabled",
    "code": "invalid_state",
}


def problem(status: int, **members: object) -> Reply:
    body = json.dumps(_PROBLEM | {"status": status, **members}).encode()
    return Reply(status, {"Content-Type": "application/problem+json"}, body)


@pytest.fixture
def stranger(receiver: Receiver) -> Receiver:
    """A server that answers as the test tells it, to any path."""
    receiver.received.clear()
    receiver.answer = lambda _: Reply(200, body=b'{"items":[],"nextCursor":null}')
    return receiver


def test_no_server_is_one_line_with_a_hint(run: Run) -> None:
    ended = run("events", "list", "--server", f"http://127.0.0.1:{free_port()}")
    assert ended.code == 6
    assert ended.out == ""
    assert ended.err.count("\n") == 1
    assert "tidings serve" in ended.err


def test_a_problem_becomes_a_line_and_an_exit_code(run: Run, stranger: Receiver) -> None:
    stranger.answer = lambda _: problem(409)
    ended = run("events", "list", "--server", stranger.url)
    assert ended.code == 5
    assert ended.err == "tidings: the subscription is disabled (invalid_state)\n"


def test_the_places_of_a_problem_are_told(run: Run, stranger: Receiver) -> None:
    stranger.answer = lambda _: problem(
        422,
        code="validation_failed",
        detail="the body is not valid",
        errors=[{"pointer": "/eventType", "detail": "too \x1b[31mlong"}],
    )
    ended = run("events", "list", "--server", stranger.url)
    assert ended.code == 2
    assert ended.err == (
        "tidings: the body is not valid: /eventType: too \\x1b[31mlong (validation_failed)\n"
    )


@pytest.mark.parametrize(
    ("status", "code"), [(404, 3), (401, 4), (403, 4), (500, 1), (502, 6), (503, 6), (302, 1)]
)
def test_a_stranger_is_recognised_by_its_answers(
    run: Run, stranger: Receiver, status: int, code: int
) -> None:
    stranger.answer = lambda _: Reply(status, body=b"<html>")
    ended = run("events", "list", "--server", stranger.url)
    assert ended.code == code
    assert "is it the right one?" in ended.err


def test_ids_cannot_lead_elsewhere(run: Run, stranger: Receiver) -> None:
    stranger.answer = lambda _: problem(404, code="not_found")
    assert run("events", "show", "../api-keys?x", "--server", stranger.url).code == 3
    assert stranger.received[-1].path.lower() == "/events/%2e%2e%2fapi-keys%3fx"


def test_the_key_and_the_tenant_go_along(run: Run, stranger: Receiver) -> None:
    run("events", "list", "--tenant", "acme", SERVER=stranger.url, API_KEY="from-settings")
    run("events", "list", "--api-key", "from-option", SERVER=stranger.url, API_KEY="other")
    first, second = stranger.received[-2:]
    assert first.path == "/events?tenantId=acme"
    assert first.headers["authorization"] == "Bearer from-settings"
    assert second.headers["authorization"] == "Bearer from-option"


def test_the_key_that_a_server_left_here_is_used(
    run: Run, stranger: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "admin.key").write_text("left-here\n")
    run("events", "list", SERVER=stranger.url, DATA_DIR=str(tmp_path))
    assert stranger.received[-1].headers["authorization"] == "Bearer left-here"


def test_a_key_that_another_server_left_here_does_no_harm(
    run: Run, stranger: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "admin.key").write_text("of-another")
    stranger.answer = lambda received: (
        problem(401, code="unauthorized")
        if "authorization" in received.headers
        else Reply(body=b'{"items":[],"nextCursor":null}')
    )
    assert run("events", "list", SERVER=stranger.url, DATA_DIR=str(tmp_path)).code == 0


def test_a_key_that_was_given_is_not_dropped(run: Run, stranger: Receiver) -> None:
    stranger.answer = lambda _: problem(401, code="unauthorized")
    assert run("events", "list", "--api-key", "wrong", "--server", stranger.url).code == 4
    assert len(stranger.received) == 1


def test_bad_settings_are_one_line(run: Run) -> None:
    ended = run("events", "list", SERVER="nowhere", PROT="1")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "TIDINGS_PROT is no setting; did you mean TIDINGS_PORT?" in ended.err
    assert "--server is 'x'" in run("events", "list", "--server", "x").err
