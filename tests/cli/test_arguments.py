"""What people type becomes what the API takes, or a line that says what is wrong."""

import io
from pathlib import Path

import pytest

from tidings.cli.arguments import json_object, named_values, retry_policy
from tidings.cli.output import CommandFailed, ExitCode


def test_json_is_passed_on_as_it_was_written() -> None:
    text = '{"z": 1.0, "a": 123456789012345678901234567890, "e": 1E5}'
    assert json_object(f"  {text}\n") == text


def test_json_may_stand_in_a_file_or_come_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.json"
    path.write_text('{"from": "file"}\n')
    assert json_object(f"@{path}") == '{"from": "file"}'
    monkeypatch.setattr("sys.stdin", io.StringIO('{"from": "pipe"}'))
    assert json_object("-") == '{"from": "pipe"}'


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", "{'a': 1}", "@/nowhere/at/all"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        json_object(text)
    assert failed.value.code is ExitCode.USAGE


def test_names_with_values_are_parted_at_the_first_mark() -> None:
    assert named_values(["X-Key: a:b", "Y:"], ":", "--header") == {"X-Key": "a:b", "Y": ""}
    assert named_values([], "=", "--metadata") is None
    assert named_values(None, "=", "--metadata") is None


@pytest.mark.parametrize("text", ["no mark", "=value"])
def test_a_name_or_mark_that_is_missing_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed):
        named_values([text], "=", "--metadata")


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        (None, None),
        ("5,300, 0.5", {"schedule": [5, 300, 0.5]}),
        ("5,", {"schedule": [5]}),
        ("", {"schedule": []}),
        ('{"maxAttempts": 3}', {"maxAttempts": 3}),
    ],
)
def test_a_retry_policy_is_waits_or_json(text: str | None, policy: object) -> None:
    assert retry_policy(text) == policy


@pytest.mark.parametrize("text", ["soon", "nan", "inf", "{"])
def test_what_is_no_retry_policy_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        retry_policy(text)
    assert failed.value.code is ExitCode.USAGE
