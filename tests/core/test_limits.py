"""Every bound is there, positive, and fits the others; those are asserted where they stand."""

import importlib

from tidings.core import limits


def test_every_limit_is_a_positive_number() -> None:
    values = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert len(values) > 50
    assert all(isinstance(value, int | float) and value > 0 for value in values.values())


def test_the_relations_between_them_hold() -> None:
    importlib.reload(limits)
