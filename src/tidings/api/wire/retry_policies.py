"""Retry policies on the wire: a list of waits, or a formula for one."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tidings.api.wire.base import Body
from tidings.core import limits
from tidings.core.refusals import Fault, ValidationFailed
from tidings.core.retry import Exponential, RetryPolicy

_Wait = Annotated[
    float,
    Meta(
        ge=limits.RETRY_WAIT_SECONDS_MIN,
        le=limits.RETRY_WAIT_SECONDS_MAX,
        description="Seconds.",
    ),
]
_Waits = Annotated[
    list[_Wait],
    Meta(
        max_length=limits.ATTEMPTS_MAX - 1,
        description="The waits between attempts; none means a single attempt.",
        examples=[[5, 300, 1800]],
    ),
]
_Factor = Annotated[
    float,
    Meta(
        ge=limits.RETRY_FACTOR_MIN,
        le=limits.RETRY_FACTOR_MAX,
        description="By how much each wait is longer than the one before.",
    ),
]
_MaxAttempts = Annotated[int, Meta(ge=1, le=limits.ATTEMPTS_MAX)]
_FORMULA: Final = ("initialSeconds", "factor", "maxSeconds", "maxAttempts")
_ONE_FORM: Final[dict[str, Any]] = {
    "oneOf": [
        {"required": ["schedule"], "not": {"anyOf": [{"required": [one]} for one in _FORMULA]}},
        {"required": list(_FORMULA), "not": {"required": ["schedule"]}},
    ]
}


class RetryPolicyBody(Body):
    """When to try again: either `schedule` alone, or all the other members."""

    schedule: _Waits | UnsetType = UNSET
    initial_seconds: _Wait | UnsetType = UNSET
    factor: _Factor | UnsetType = UNSET
    max_seconds: _Wait | UnsetType = UNSET
    max_attempts: _MaxAttempts | UnsetType = UNSET


class RetryPolicyPatch(Body):
    """A merge patch for a retry policy. Members of the other form replace it as a whole."""

    schedule: _Waits | UnsetType | None = UNSET
    initial_seconds: _Wait | UnsetType | None = UNSET
    factor: _Factor | UnsetType | None = UNSET
    max_seconds: _Wait | UnsetType | None = UNSET
    max_attempts: _MaxAttempts | UnsetType | None = UNSET


RetryPolicyForm = Annotated[RetryPolicyBody, Meta(extra_json_schema=_ONE_FORM)]


def retry_policy_of(body: RetryPolicyBody) -> RetryPolicy:
    """The policy that a body stands for. Raises `ValidationFailed` for a mixture of the forms."""
    given = msgspec.structs.asdict(body)
    schedule = given.pop("schedule")
    formula = {name: value for name, value in given.items() if value is not UNSET}
    if schedule is not UNSET and not formula:
        return RetryPolicy(tuple(schedule))
    if schedule is UNSET and len(formula) == len(_FORMULA):
        return RetryPolicy.from_formula(Exponential(**formula))
    raise ValidationFailed(
        "the retry policy is not valid",
        faults=[
            Fault(
                "/retryPolicy",
                f"give either schedule alone, or {', '.join(_FORMULA[:-1])} and {_FORMULA[-1]}",
            )
        ],
    )


def retry_policy_body(policy: RetryPolicy) -> RetryPolicyBody:
    """The policy in the form in which it was given."""
    formula = policy.formula
    if formula is None:
        return RetryPolicyBody(schedule=[_plain(wait) for wait in policy.waits_seconds])
    return RetryPolicyBody(
        initial_seconds=_plain(formula.initial_seconds),
        factor=_plain(formula.factor),
        max_seconds=_plain(formula.max_seconds),
        max_attempts=formula.max_attempts,
    )


def _plain(number: float) -> float:
    """5 rather than 5.0, as people write it."""
    return int(number) if number == int(number) else number
