"""How hard the parsers are tried: a little in each run of the tests, for minutes by `make fuzz`."""

from collections.abc import Iterator

import pytest

from tests.support import tally


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Count the examples that are made up for each rule."""
    yield
    used = getattr(request.function, "_hypothesis_internal_use_settings", None)
    tally.count("refused or understood", 1 if used is None else used.max_examples)
