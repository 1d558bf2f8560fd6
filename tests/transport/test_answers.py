"""What stands in the way of an answer is told in our words, and tells nothing about our side."""

import errno
import ssl

import pytest

from tidings.core.attempt import ErrorClass
from tidings.transport.answers import answer_of, answer_of_fault
from tidings.transport.guarded_socket import AddressRefused
from tidings.transport.resolving import NameNotResolved

OURS = ErrorClass.INTERNAL
PRIVATE = "10.1.2.3"


def os_error(number: int) -> OSError:
    return OSError(number, f"Connect call failed ('{PRIVATE}', 443)")


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        (AddressRefused("no"), ErrorClass.BLOCKED_ADDRESS),
        (NameNotResolved("no"), ErrorClass.DNS),
        (os_error(errno.ECONNREFUSED), ErrorClass.CONNECTION_REFUSED),
        (os_error(errno.EHOSTUNREACH), ErrorClass.CONNECTION_REFUSED),
        (os_error(errno.ENETUNREACH), ErrorClass.CONNECTION_REFUSED),
        (os_error(errno.ETIMEDOUT), ErrorClass.TIMEOUT),
        (os_error(errno.ECONNRESET), ErrorClass.CONNECTION_RESET),
        (os_error(errno.EPIPE), ErrorClass.CONNECTION_RESET),
        (os_error(errno.EMFILE), OURS),
        (os_error(errno.ENFILE), OURS),
        (os_error(errno.EADDRNOTAVAIL), OURS),
        (os_error(errno.ENOBUFS), OURS),
        (ssl.SSLError(1, f"[SSL] {PRIVATE}"), ErrorClass.TLS),
    ],
    ids=repr,
)
def test_a_fault_has_its_class(fault: OSError, error_class: ErrorClass) -> None:
    answer = answer_of_fault(fault)
    assert answer.error_class is error_class
    assert answer.status_code is None
    assert answer.error_detail
    assert PRIVATE not in answer.error_detail


@pytest.mark.parametrize("fault", [ValueError(PRIVATE), RuntimeError(PRIVATE)])
def test_what_nobody_foresaw_costs_the_receiver_an_attempt(
    fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    answer = answer_of_fault(fault)
    assert answer.error_class is ErrorClass.PROTOCOL
    assert PRIVATE not in str(answer.error_detail)
    assert caplog.records


def test_a_value_is_text_that_every_database_takes() -> None:
    answer = answer_of(200, [(b"Server", b"a\x00b\x1b[31m\xff\xe2\x80\xa8")], b"")
    ((name, value),) = answer.headers
    assert name == "server"
    assert value.isprintable()
