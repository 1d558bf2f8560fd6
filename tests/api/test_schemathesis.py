"""Requests that nobody thought of, made up from our own OpenAPI document, over real HTTP.

Whatever comes in, the answer is one that the document tells of, in the form that it tells, and
never a bug of ours. The same requests are made up every time, so that a red test can be run again;
`make fuzz` makes up many more, and others each time.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support import tally
from tests.support.api_server import ApiServer, api_server
from tidings.api.openapi import openapi_document
from tidings.api.routes import ROUTES
from tidings.api.services import ApiSettings

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
IS_FUZZ = settings.get_current_profile_name() == "fuzz"
EXAMPLES = 300 if IS_FUZZ else 12
DOCUMENT = openapi_document(ROUTES, ApiSettings("http://localhost", b"k" * 32, "test"))
# A stream has no end; tests of its own listen to it.
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT).exclude(path="/events/stream")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server that asks for a key."""
    with api_server(tmp_path_factory.mktemp("schemathesis"), is_dev=False) as one:
        yield one


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not IS_FUZZ,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_comes_in_is_answered_as_documented(case: Any, server: ApiServer) -> None:
    answer = case.call_and_validate(
        base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, checks=CHECKS
    )
    tally.count_answer(answer.status_code)
