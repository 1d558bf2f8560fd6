"""The demonstration happens as it is told, in well under a minute."""

import subprocess
import sys
from pathlib import Path

import pytest

from tidings.cli import demo, demo_server
from tidings.cli.demo_receiver import Receiver
from tidings.cli.main import main


def test_the_whole_story_happens(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tidings", "demo"],
        cwd=tmp_path,
        env={"TIDINGS_PORT": "1", "TIDINGS_ROLE": "worker", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    chapters = [line for line in ended.stdout.splitlines() if line[1:2].isdigit()]
    assert len(chapters) == 5
    assert ended.stdout.count("the signature fits; the answer is 200") == 3
    assert ended.stdout.count("the signature fits; the answer is 500") == 4
    assert "webhook-signature: v1," in ended.stdout
    assert "dead letter reason  attempts_exhausted" in ended.stdout
    assert "docs/start.md" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert not list(tmp_path.iterdir())


def test_a_story_that_goes_wrong_ends_with_a_line_and_a_code(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Receiver, "next", lambda _: None)
    with pytest.raises(SystemExit) as left:
        main(["demo"])
    assert left.value.code == 8
    assert capfd.readouterr().err == (
        "tidings: the story went wrong; expected: the receiver gets a request\n"
    )


def test_a_server_that_does_not_start_is_told_with_its_own_last_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_server, "without_settings", lambda: {"TIDINGS_HOST": "0.0.0.0"})
    with pytest.raises(SystemExit) as left:
        main(["demo"])
    assert left.value.code == 8
    assert "--dev serves this machine alone" in capfd.readouterr().err


def test_the_receiver_takes_nothing_that_is_not_signed() -> None:
    with Receiver() as receiver:
        receiver.secrets.append("whsec_abc123")
        assert receiver.receive("/", {"webhook-id": "evt_1"}, b"{}") == 403
        received = receiver.next()
    assert received is not None
    assert not received.is_signed


def test_the_story_can_be_read_in_its_source() -> None:
    source = Path(demo.__file__).read_text("utf-8")
    assert len(source.splitlines()) < 170
