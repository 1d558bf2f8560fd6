"""Requests that nobody thought of, made up from our own OpenAPI document, over real HTTP.

Whatever comes in, the answer is one that the document tells of, in the form that it tells, and
never a bug of ours. The same requests are made up every time: a red test can be run again.
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

from tests.support.api_server import api_server
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
EXAMPLES = 12
DOCUMENT = openapi_document(ROUTES, ApiSettings("http://localhost", b"k" * 32, "test"))
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the API."""
    with api_server(tmp_path_factory.mktemp("schemathesis")) as (host, port):
        yield f"http://{host}:{port}"


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_comes_in_is_answered_as_documented(case: Any, base_url: str) -> None:
    case.call_and_validate(base_url=base_url, checks=CHECKS)
