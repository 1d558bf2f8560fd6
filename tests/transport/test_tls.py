"""What the transport is set up with."""

import ssl

from tidings.transport.tls import new_ssl_context


def test_tls_is_verified_and_new_enough() -> None:
    context = new_ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
