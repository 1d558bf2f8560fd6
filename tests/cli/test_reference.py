"""The printed pages of the reference are those of this very code."""

import pytest

from tests.tidy.checkout import ROOT
from tools.docs import REFERENCE, pages


@pytest.mark.parametrize("name", sorted(pages()))
def test_reference_pages_are_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text("utf-8") == pages()[name], "run make docs"


def test_the_reference_stands_where_documents_link_to() -> None:
    assert ROOT / "docs" / "reference" == REFERENCE
