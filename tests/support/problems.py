"""What an answer must look like that is a problem."""

from typing import Any

import httpx2


def expect_problem(answer: httpx2.Response, status: int, code: str) -> Any:
    """Hold an answer to the status and the code of a problem; answers the problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    problem = answer.json()
    assert set(problem) - {"errors", "errorClass"} == {"type", "title", "status", "detail", "code"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"https://api.example.com/docs#{code}"
    assert problem["title"]
    assert problem["detail"]
    return problem
