"""Problems on the wire, as RFC 9457 has them."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from tidings.api.wire.base import Shown


class ProblemPlace(Shown):
    """One thing that is wrong with a body."""

    pointer: Annotated[str, Meta(description="Where: a JSON pointer.")]
    detail: str


class Problem(Shown):
    """Why a request was refused. Programs go by `code`, people by `detail`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemPlace] | UnsetType = UNSET
    error_class: (
        Annotated[
            str,
            Meta(
                description="Why a request to the receiver came to nothing: an attempt's "
                "`errorClass`, or `bad_challenge`."
            ),
        ]
        | UnsetType
    ) = UNSET
