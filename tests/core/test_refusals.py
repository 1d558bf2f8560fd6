"""The tree of refusals: each leaf has its own code, and the picture at its top is right."""

from tidings.core import refusals
from tidings.core.refusals import Fault, Refusal, ValidationFailed


def leaves(kind: type[Refusal]) -> list[type[Refusal]]:
    below = kind.__subclasses__()
    return [leaf for one in below for leaf in leaves(one)] if below else [kind]


def test_every_leaf_has_a_code_and_a_title_of_its_own() -> None:
    codes = [leaf.code for leaf in leaves(Refusal)]
    assert all(codes)
    assert len(set(codes)) == len(codes)
    assert all(leaf.title for leaf in leaves(Refusal))


def test_the_picture_names_every_refusal() -> None:
    assert refusals.__doc__ is not None
    for leaf in leaves(Refusal):
        assert leaf.__name__ in refusals.__doc__


def test_a_refusal_carries_what_a_person_needs() -> None:
    refused = ValidationFailed("no", faults=[Fault("/a", "wrong")], retry_after_seconds=3)
    assert (str(refused), refused.detail) == ("no", "no")
    assert refused.faults == (Fault("/a", "wrong"),)
    assert refused.retry_after_seconds == 3
