"""Commands are values: equal when they say the same, and never changed once said."""

import pytest

from tidings.core.commands import LoadSubscription, Settle


def test_commands_that_say_the_same_are_equal() -> None:
    assert Settle("sub_1") == Settle("sub_1")
    assert Settle("sub_1") != Settle("sub_2")


def test_a_command_cannot_be_changed() -> None:
    command = LoadSubscription("sub_1")
    with pytest.raises(AttributeError):
        command.subscription_id = "sub_2"  # type: ignore[misc]
