"""A subscriber's headers can add to a request, and change nothing else about it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.core import limits
from tidings.core.custom_headers import custom_header_faults

RESERVED = [
    "host",
    "Content-Length",
    "TRANSFER-ENCODING",
    "content-type",
    "Content-Encoding",
    "content-digest",
    "Connection",
    "keep-alive",
    "TE",
    "trailer",
    "Upgrade",
    "expect",
    "proxy-authorization",
    "Proxy-Connection",
    "webhook-id",
    "Webhook-Signature",
    "webhook-hops",
    "ce-id",
    "CE-source",
    "signature",
    "Signature-Input",
    "user-agent",
    "accept-encoding",
    "Cookie",
    "date",
    "Forwarded",
    "x-forwarded-for",
    "X-Forwarded-Host",
    "Via",
    "x-amz-security-token",
    "X-aws-ec2-metadata-token",
    "x-goog-user-project",
    "X-Google-Metadata-Request",
    "x-azure-ref",
    "metadata",
    "Metadata-Flavor",
    # CGI makes HTTP_PROXY of it, which many clients obey.
    "Proxy",
    "X-Real-IP",
    # The same names to whatever speaks CGI or WSGI.
    "Webhook_Signature",
    "Content_Length",
    "Transfer_Encoding",
    "X_Forwarded_For",
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer abc"),
        ("X-Api-Key", "a"),
        ("x", "!"),
        ("!#$%&'*+-.^_`|~09aZ", "~"),
        ("X-Inner", "a  b\tc"),
        ("X-Empty", ""),
        ("x" * limits.CUSTOM_HEADER_NAME_LENGTH_MAX, "v" * limits.CUSTOM_HEADER_VALUE_LENGTH_MAX),
        ("Accept", "application/json"),
        ("Webhooks", "not ours"),
        ("Cookies", "not one"),
    ],
)
def test_plain_headers_are_allowed(name: str, value: str) -> None:
    assert custom_header_faults({name: value}) == []


@pytest.mark.parametrize("name", RESERVED)
def test_what_belongs_to_the_request_is_reserved(name: str) -> None:
    for spelling in (name, name.lower(), name.upper()):
        (fault,) = custom_header_faults({spelling: "a"})
        assert fault.pointer == f"/headers/{spelling}"
        assert "not for subscribers" in fault.detail


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "X A", "X-A ", " X-A", "X-A:", "X:A", "X\rA", "X\nA", "X-A\n", "X\x00"),
        *("X-Ä", "(x)", '"', "x" * (limits.CUSTOM_HEADER_NAME_LENGTH_MAX + 1)),
    ],
)
def test_a_name_is_a_token(name: str) -> None:
    assert custom_header_faults({name: "a"})


@pytest.mark.parametrize(
    "value",
    [
        *(" a", "a ", "\ta", "a\t", " ", "a\rb", "a\nb", "a\r\nHost: b", "a\n", "a\x00b"),
        *("a\x7fb", "é", "日本", "a\u2028b", "a" * (limits.CUSTOM_HEADER_VALUE_LENGTH_MAX + 1)),
    ],
)
def test_a_value_is_one_line_of_visible_ascii(value: str) -> None:
    (fault,) = custom_header_faults({"X-A": value})
    assert fault.pointer == "/headers/X-A"


def test_names_are_compared_without_regard_to_case() -> None:
    (fault,) = custom_header_faults({"X-A": "1", "X-B": "1", "x-a": "2"})
    assert fault.pointer == "/headers/x-a"


def test_every_fault_is_told_at_its_place() -> None:
    faults = custom_header_faults({"Host": "a", "X-Good": "a", "a/b~c": "\n", "X-Bad": " "})
    assert [fault.pointer for fault in faults] == [
        "/headers/Host",
        "/headers/a~1b~0c",
        "/headers/X-Bad",
    ]


def test_their_number_is_bounded() -> None:
    many = {f"X-{number}": "a" for number in range(limits.CUSTOM_HEADERS_MAX)}
    assert custom_header_faults(many) == []
    (fault,) = custom_header_faults({**many, "X-Last": "a"})
    assert fault.pointer == "/headers"


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=5))
def test_what_is_allowed_cannot_break_out_of_its_line(headers: dict[str, str]) -> None:
    if custom_header_faults(headers):
        return
    assert len({name.lower() for name in headers}) == len(headers)
    for name, value in headers.items():
        line = f"{name}: {value}"
        assert name
        assert line.isascii()
        assert not set(line) & set("\r\n\x00")
        assert value == value.strip()
