"""A disk without room keeps nobody's event, and loses nobody's."""

from pathlib import Path

import pytest

from tests.crashes import full_disk


@pytest.mark.timeout(240)
def test_a_full_disk_refuses_events_keeps_those_it_has_and_is_left_behind(tmp_path: Path) -> None:
    try:
        balance = full_disk.run(tmp_path, 4, rounds=1)
    except full_disk.NotPermitted as reason:
        pytest.skip(f"a small disk needs a mount namespace: {reason}")
    assert balance["accepted"] > 0
    assert balance["refused"] > 0
