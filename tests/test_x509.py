"""The few fields of a certificate that are read here, against another reader of them."""

import datetime as dt

import pytest
import trustme
from cryptography import x509 as oracle
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from otel_llm import x509

UTC = dt.timezone.utc
SIGNER = ec.generate_private_key(ec.SECP256R1())
KEYS = {
    ("RSA", 1024): rsa.generate_private_key(65537, 1024),
    ("RSA", 2048): rsa.generate_private_key(65537, 2048),
    ("P-256", 0): SIGNER,
    ("P-384", 0): ec.generate_private_key(ec.SECP384R1()),
    ("P-521", 0): ec.generate_private_key(ec.SECP521R1()),
    ("other", 0): ec.generate_private_key(ec.SECP256K1()),
    ("Ed25519", 0): ed25519.Ed25519PrivateKey.generate(),
    ("Ed448", 0): ed448.Ed448PrivateKey.generate(),
}
ENDS = st.integers(-599_616_000, 253_402_214_400).map(  # 1951 to 9999
    lambda seconds: dt.datetime.fromtimestamp(seconds, UTC)
)


def made(kind: tuple[str, int], end: dt.datetime, name: str = "x") -> str:
    """A certificate."""
    subject = oracle.Name([oracle.NameAttribute(oracle.NameOID.COMMON_NAME, name)])
    builder = oracle.CertificateBuilder(subject, subject, KEYS[kind].public_key(), 1)
    builder = builder.not_valid_before(dt.datetime(1950, 1, 1, tzinfo=UTC)).not_valid_after(end)
    return builder.sign(SIGNER, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@given(st.sampled_from(list(KEYS)), ENDS, st.text("abc", min_size=1, max_size=64))
@example(("RSA", 2048), dt.datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), "x")
@example(("RSA", 2048), dt.datetime(2050, 1, 1, tzinfo=UTC), "x")
def test_what_was_written_is_read(kind: tuple[str, int], end: dt.datetime, name: str) -> None:
    """Kind of key, its length and the end of validity, in both forms of a time."""
    assert x509.read(made(kind, end, name)) == (end, *kind)


def test_an_authoritys_certificate_is_read() -> None:
    """With extensions, as authorities issue them."""
    end = dt.datetime(2099, 5, 6, 7, 8, 9, tzinfo=UTC)
    leaf = trustme.CA().issue_cert("a.example.com", not_after=end)
    assert x509.read(leaf.cert_chain_pems[0].bytes().decode()).not_after == end


@pytest.mark.parametrize("inner", ["", "MAA=", "MAUwAwIBAQ=="])
def test_what_is_no_certificate_is_refused(inner: str) -> None:
    """An empty one, and values that are something else."""
    text = f"-----BEGIN CERTIFICATE-----\n{inner}\n-----END CERTIFICATE-----"
    with pytest.raises(ValueError, match="certificate"):
        x509.read(text)


def test_how_an_end_is_told() -> None:
    """With its day, its hour and what to do."""
    end = dt.datetime(2031, 2, 3, 4, 5, tzinfo=UTC)
    told = "on 2031-02-03 04:05 UTC; renew it and restart `up`"
    assert x509.expiry(end, end) == f"expired {told}"
    assert x509.expiry(end, end - dt.timedelta(seconds=1)) == f"expires {told}"
