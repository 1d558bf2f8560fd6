"""What a client is willing to read (RFC 9110, section 12.5.1). There is one form of each answer."""

from functools import lru_cache
from typing import Final

_CACHED: Final = 256
_OURS: Final = ("application/json", "application/problem+json")


@lru_cache(maxsize=_CACHED)
def takes_json(accept: bytes) -> bool:
    """Whether an `Accept` header lets us answer in JSON. An empty one takes everything.

    Of weights only zero counts, which refuses; what cannot be read as a range is passed over.
    """
    weights: dict[str, bool] = {}
    for part in accept.decode("latin-1").lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        if media_range:
            weights[media_range] = not any(_is_zero(one) for one in parameters)
    if not weights:
        return True
    return any(_weight(weights, one) for one in _OURS)


def _weight(weights: dict[str, bool], media_type: str) -> bool:
    """Whether a form is wanted, as the narrowest range that holds it has it."""
    kind = media_type.partition("/")[0]
    for media_range in (media_type, f"{kind}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return False


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and bool(value) and not value.strip().strip("0.")
