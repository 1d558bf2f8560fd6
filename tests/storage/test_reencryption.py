"""Sealing everything anew: nothing is forgotten, and a crash leaves one key that opens it all."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.store.conftest import Filled
from tests.support.stores import DATABASE_NAME, SEALING_KEY, open_sqlite_store
from tests.support.values import SECRET, a_subscription
from tidings.core.subscription import Subscription
from tidings.key_files import install_next_key, kept_key_path, next_key_path, read_key, write_key
from tidings.ports.records import IdempotentAnswer
from tidings.storage.sealing import Sealer
from tidings.storage.sql.store import WrongKey
from tidings.storage.sqlite.connection import connect
from tidings.storage.sqlite.reencryption import SEALED, key_fits, reencrypt

NEW_KEY = b"n" * 32
HEADERS = (("Authorization", "Bearer secret"),)


async def fill(folder: Path, subscriptions: int) -> list[Subscription]:
    """A database with subscriptions, each with a secret and headers, and a sealed answer."""
    async with open_sqlite_store(folder) as store:
        filled = Filled(store)
        made = [await filled.subscribe(headers=HEADERS) for _ in range(subscriptions)]
        answer = IdempotentAnswer(b"asked", b"answered")
        await store.create_subscription(a_subscription(), quota=99_999, idempotency=("k", answer))
        return made


async def expect_all(folder: Path, key: bytes, made: list[Subscription]) -> None:
    """Everything opens with this key."""
    async with open_sqlite_store(folder, sealing_key=key) as store:
        loaded = {
            one.subscription.subscription_id: one.subscription
            for one in await store.load_subscriptions()
        }
        for subscription in made:
            found = loaded[subscription.subscription_id]
            assert [one.secret for one in found.secrets] == [SECRET]
            assert found.headers == HEADERS
        answer = await store.create_subscription(
            a_subscription(), quota=99_999, idempotency=("k", IdempotentAnswer(b"asked", b""))
        )
        assert answer is not None
        assert answer.answer == b"answered"


async def test_everything_opens_with_the_new_key_and_nothing_with_the_old_one(
    tmp_path: Path,
) -> None:
    made = await fill(tmp_path, 700)  # more than are read at once
    path = tmp_path / DATABASE_NAME
    seen: list[tuple[int, int]] = []
    done = reencrypt(path, SEALING_KEY, NEW_KEY, lambda *reached: seen.append(reached))
    assert done == (2 * 700 + 3, [])
    assert seen[-1] == (2 * 700 + 3, 2 * 700 + 3)
    assert seen == sorted(seen)
    await expect_all(tmp_path, NEW_KEY, made)
    with pytest.raises(WrongKey):
        async with open_sqlite_store(tmp_path):
            pass


def test_no_value_that_the_old_key_opens_is_left_in_the_file(tmp_path: Path) -> None:
    """Whoever has the old key, and the file as it is now, reads nothing."""
    asyncio.run(fill(tmp_path, 50))
    path = tmp_path / DATABASE_NAME
    name_of_old = Sealer(SEALING_KEY).seal(b"", "")[:5]
    assert name_of_old in path.read_bytes()
    reencrypt(path, SEALING_KEY, NEW_KEY, lambda _done, _total: None)
    for file in tmp_path.iterdir():
        assert name_of_old not in file.read_bytes(), file.name


async def test_every_sealed_column_is_sealed_anew(tmp_path: Path) -> None:
    await fill(tmp_path, 1)
    db = connect(tmp_path / DATABASE_NAME)
    columns = {
        (table, column)
        for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))
        if str(column).startswith("sealed_")
    }
    db.close()
    assert {(one.table, one.column) for one in SEALED} == columns


async def test_a_wrong_old_key_changes_nothing(tmp_path: Path) -> None:
    made = await fill(tmp_path, 3)
    with pytest.raises(WrongKey):
        reencrypt(tmp_path / DATABASE_NAME, b"x" * 32, NEW_KEY, lambda _done, _total: None)
    await expect_all(tmp_path, SEALING_KEY, made)


async def test_done_again_it_does_nothing(tmp_path: Path) -> None:
    made = await fill(tmp_path, 3)
    path = tmp_path / DATABASE_NAME
    reencrypt(path, SEALING_KEY, NEW_KEY, lambda _done, _total: None)
    assert reencrypt(path, SEALING_KEY, NEW_KEY, lambda _done, _total: None) == (0, [])
    await expect_all(tmp_path, NEW_KEY, made)


async def test_what_is_damaged_is_named_and_left_and_the_rest_goes_on(tmp_path: Path) -> None:
    damaged, *others = await fill(tmp_path, 3)
    path = tmp_path / DATABASE_NAME
    db = connect(path)
    name = damaged.subscription_id
    db.execute(
        "UPDATE signing_secret SET sealed_secret = x'0102' WHERE subscription_id = ?", (name,)
    )
    db.close()
    done = reencrypt(path, SEALING_KEY, NEW_KEY, lambda _done, _total: None)
    assert done.unopened == [f"secret:default:{name}"]
    await expect_all(tmp_path, NEW_KEY, others)


DIE_AT = """
import os, signal, sys
from pathlib import Path
from tidings.cli import key_change
from tidings.settings import Settings

folder, at = Path(sys.argv[1]), int(sys.argv[2])
calls = 0

def reached(*_):
    global calls
    calls += 1
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

change = key_change.KeyChange.of(Settings.load({"TIDINGS_DATA_DIR": str(folder)}), None)
if at == 0:
    key_change.install_next_key = die
change.carry_out(reached)
"""
AT = [1, 4, 8, 0]
"""At the first step, in the middle, at the last step before the commit; 0: after the commit."""


@pytest.mark.parametrize("at", AT)
async def test_killed_at_any_moment_one_known_key_opens_everything(tmp_path: Path, at: int) -> None:
    made = await fill(tmp_path, 350)
    path, file = tmp_path / DATABASE_NAME, tmp_path / "encryption.key"
    write_key(file, SEALING_KEY)
    command = [sys.executable, "-c", DIE_AT, str(tmp_path), str(at)]
    killed = subprocess.run(command, capture_output=True, check=False)  # noqa: ASYNC221
    assert killed.returncode == -9, killed.stderr
    following = read_key(next_key_path(file))
    fitting = [key for key in (SEALING_KEY, following) if key_fits(path, key)]
    assert fitting == [following if at == 0 else SEALING_KEY]
    # As the server does when it starts:
    assert install_next_key(file, lambda key: key_fits(path, key)) == (at == 0)
    assert read_key(file) == fitting[0]
    await expect_all(tmp_path, fitting[0], made)


async def test_the_key_that_was_begun_with_is_used_when_it_is_done_again(tmp_path: Path) -> None:
    made = await fill(tmp_path, 350)
    file = tmp_path / "encryption.key"
    write_key(file, SEALING_KEY)
    old_is_kept_at = kept_key_path(file)
    program = [sys.executable, "-c", DIE_AT, str(tmp_path)]
    subprocess.run([*program, "4"], capture_output=True, check=False)  # noqa: ASYNC221
    following = read_key(next_key_path(file))
    subprocess.run([*program, "99"], capture_output=True, check=True)  # noqa: ASYNC221
    assert read_key(file) == following
    assert read_key(old_is_kept_at) == SEALING_KEY
    assert not next_key_path(file).exists()
    await expect_all(tmp_path, following, made)
