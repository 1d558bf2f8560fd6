"""What answers mean."""

import pytest

from tidings.core.attempt import Answer, ErrorClass, Outcome, error_class_of, outcome_of


@pytest.mark.parametrize(
    ("status", "outcome", "error_class"),
    [
        (200, Outcome.DELIVERED, None),
        (204, Outcome.DELIVERED, None),
        (299, Outcome.DELIVERED, None),
        (301, Outcome.FAILED, ErrorClass.HTTP_STATUS),
        (400, Outcome.FAILED, ErrorClass.HTTP_STATUS),
        (404, Outcome.FAILED, ErrorClass.HTTP_STATUS),
        (410, Outcome.GONE, ErrorClass.HTTP_STATUS),
        (429, Outcome.THROTTLED, ErrorClass.HTTP_STATUS),
        (500, Outcome.FAILED, ErrorClass.HTTP_STATUS),
        (502, Outcome.THROTTLED, ErrorClass.HTTP_STATUS),
        (503, Outcome.THROTTLED, ErrorClass.HTTP_STATUS),
        (504, Outcome.THROTTLED, ErrorClass.HTTP_STATUS),
        (599, Outcome.FAILED, ErrorClass.HTTP_STATUS),
        (0, Outcome.FAILED, ErrorClass.PROTOCOL),
        (101, Outcome.FAILED, ErrorClass.PROTOCOL),
        (199, Outcome.FAILED, ErrorClass.PROTOCOL),
        (600, Outcome.FAILED, ErrorClass.PROTOCOL),
        (999, Outcome.FAILED, ErrorClass.PROTOCOL),
    ],
)
def test_statuses(status: int, outcome: Outcome, error_class: ErrorClass | None) -> None:
    answer = Answer(status_code=status)
    assert (outcome_of(answer), error_class_of(answer)) == (outcome, error_class)


@pytest.mark.parametrize("error_class", ErrorClass)
def test_faults_without_an_answer(error_class: ErrorClass) -> None:
    answer = Answer(error_class=error_class)
    expected = {
        ErrorClass.INTERNAL: Outcome.OUR_FAULT,
        ErrorClass.BLOCKED_ADDRESS: Outcome.BLOCKED,
    }.get(error_class, Outcome.FAILED)
    assert outcome_of(answer) is expected
    assert error_class_of(answer) is error_class
