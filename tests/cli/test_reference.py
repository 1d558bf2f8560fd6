"""The printed pages of the reference are those of this very code."""

import re
from collections.abc import Mapping

import pytest

from tests.tidy.checkout import ROOT
from tidings.core import delivery, subscription
from tidings.core.delivery import DeliveryStatus
from tidings.core.subscription import Status
from tools.docs import REFERENCE, pages


@pytest.mark.parametrize("name", sorted(pages()))
def test_reference_pages_are_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text("utf-8") == pages()[name], "run make docs"


def test_the_reference_stands_where_documents_link_to() -> None:
    assert ROOT / "docs" / "reference" == REFERENCE


@pytest.mark.parametrize(
    ("page", "first", "table"),
    [
        ("delivery-life.md", DeliveryStatus.PENDING, delivery.TRANSITIONS),
        ("subscription-states.md", Status.ACTIVE, subscription.TRANSITIONS),
    ],
)
def test_a_diagram_shows_every_step_of_its_table_and_no_other(
    page: str, first: str, table: Mapping[tuple[str, str], str]
) -> None:
    text = (REFERENCE / page).read_text()
    arrows = re.findall(r"^    (\w+) --> (\w+): (.+)$", text, re.MULTILINE)
    shown = {
        (before, step.replace(" ", "_"), after)
        for before, after, steps in arrows
        for step in steps.split(", ")
    }
    assert shown == {(before, step, after) for (before, step), after in table.items()}
    assert f"    [*] --> {first}\n" in text
