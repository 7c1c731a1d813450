"""A pinned certificate is trusted; nothing else is, whoever signed it."""

import contextlib
import ssl

import pytest
import trustme

from otel_llm import pinning


def shake(server: trustme.LeafCert, pinned: trustme.LeafCert) -> None:
    """A handshake between a server and a client that pins."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.configure_cert(context)
    client = pinning.context(pinned.cert_chain_pems[0].bytes().decode())
    ends = [client.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)]
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()


def test_the_pinned_one_is_trusted() -> None:
    """Though the system knows nobody who signed it, and it has another name."""
    leaf = trustme.CA().issue_cert("obs.example.com")
    shake(leaf, leaf)


def test_another_of_the_same_authority_and_name_is_not() -> None:
    """The authority is not trusted, and the name proves nothing."""
    authority = trustme.CA()
    pinned, other = (authority.issue_cert("obs.example.com") for _ in range(2))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(other, pinned)


def test_what_is_no_certificate_is_refused() -> None:
    """At once, not at the first connection."""
    with pytest.raises(ssl.SSLError):
        pinning.context("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    # A text without any certificate is refused with another error of the module's family.
    with pytest.raises((ssl.SSLError, ValueError)):
        pinning.context("x")
