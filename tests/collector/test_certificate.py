"""Which certificates `up` takes, and what it says of the others."""

import datetime as dt
import ssl
import tempfile
from concurrent import futures
from pathlib import Path

import grpc
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from otel_llm.collector import certificate
from otel_llm.errors import SettingError
from otel_llm.settings import Settings

DAY = dt.timedelta(days=1)
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PLAIN_KEY = "-----BEGIN PRIVATE KEY-----"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority of this module's own."""
    return trustme.CA()


def written(tmp_path: Path, leaf: trustme.LeafCert, name: str = "up") -> Settings:
    """Settings that name a certificate and its key."""
    cert, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
    cert.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    key.chmod(0o600)
    return Settings(up_cert_file=str(cert), up_key_file=str(key))


def refused(settings: Settings) -> SettingError:
    """The error of settings that cannot be used."""
    with pytest.raises(SettingError) as caught:
        certificate.load(settings)
    return caught.value


def test_nothing_named_is_plain_text() -> None:
    """TLS is off by default."""
    assert certificate.load(Settings()) is None


@pytest.mark.parametrize("depth", [0, 1])
def test_a_good_one_is_taken(authority: trustme.CA, tmp_path: Path, depth: int) -> None:
    """With those between it and its authority too; the first of the file is the one shown."""
    issuer = authority if depth == 0 else authority.create_child_ca()
    leaf = issuer.issue_cert("obs.example.com")
    found = certificate.load(written(tmp_path, leaf))
    assert found is not None
    assert found.pem.strip() == leaf.cert_chain_pems[0].bytes().decode().strip()
    assert found.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert PLAIN_KEY not in repr(found)


@pytest.mark.parametrize("missing", ["up_cert_file", "up_key_file"])
def test_one_of_two_is_refused(authority: trustme.CA, tmp_path: Path, missing: str) -> None:
    """The error names the one that is missing."""
    both = written(tmp_path, authority.issue_cert("a.example.com"))
    values = {name: getattr(both, name) for name in ("up_cert_file", "up_key_file")}
    error = refused(Settings(**{**values, missing: ""}))
    assert error.name == missing
    assert "Set both, or neither" in str(error)


@pytest.mark.parametrize("name", ["up_cert_file", "up_key_file"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\x00 no PEM"])
def test_what_is_no_pem_file_is_refused(
    authority: trustme.CA, tmp_path: Path, name: str, content: bytes | None
) -> None:
    """Not there, empty, or something else: the error says so and names the file."""
    settings = written(tmp_path, authority.issue_cert("a.example.com"))
    path = Path(getattr(settings, name))
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    error = refused(settings)
    assert str(path) in str(error)
    assert ("cannot be read" in str(error)) == (content is None)


def test_anothers_key_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    """The error names both files."""
    one = written(tmp_path, authority.issue_cert("a.example.com"), "one")
    two = written(tmp_path, authority.issue_cert("a.example.com"), "two")
    error = refused(Settings(up_cert_file=one.up_cert_file, up_key_file=two.up_key_file))
    assert error.name == "up_key_file"
    assert "is not that of the certificate" in str(error)


def test_an_encrypted_key_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    """Nobody is there to type a password, and nobody is asked."""
    from cryptography.hazmat.primitives import serialization

    leaf = authority.issue_cert("a.example.com")
    settings = written(tmp_path, leaf)
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    form = serialization.PrivateFormat.PKCS8
    hidden = serialization.BestAvailableEncryption(b"hunter2")
    pem = key.private_bytes(serialization.Encoding.PEM, form, hidden)
    Path(settings.up_key_file).write_bytes(pem)
    assert "is encrypted" in str(refused(settings))


@pytest.mark.parametrize(
    ("from_days", "to_days", "said"),
    [(-9, -1, "certificate has expired"), (1, 9, "certificate is not yet valid")],
)
def test_one_that_is_not_valid_now_is_refused(
    authority: trustme.CA, tmp_path: Path, from_days: int, to_days: int, said: str
) -> None:
    """Every client would refuse it."""
    now = dt.datetime.now(dt.timezone.utc)
    leaf = authority.issue_cert(
        "a.example.com",
        not_before=now + dt.timedelta(from_days),
        not_after=now + dt.timedelta(to_days),
    )
    error = refused(written(tmp_path, leaf))
    assert error.name == "up_cert_file"
    assert said in str(error)


def keyed(tmp_path: Path, key: PrivateKey) -> Settings:
    """Settings that name a certificate, by its own signature, for a key of this kind."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "obs.example.com")])
    now = dt.datetime.now(dt.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
    builder = builder.not_valid_before(now - DAY).not_valid_after(now + DAY)
    names = x509.SubjectAlternativeName([x509.DNSName("obs.example.com")])
    builder = builder.add_extension(names, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    pem = builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)
    cert_file, key_file = tmp_path / "up.pem", tmp_path / "up.key"
    cert_file.write_bytes(pem)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    key_file.write_bytes(key.private_bytes(*form, serialization.NoEncryption()))
    key_file.chmod(0o600)
    return Settings(up_cert_file=str(cert_file), up_key_file=str(key_file))


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA 1024", "P-521", "secp256k1", "Ed25519"],
)
def test_a_key_that_grpcs_clients_refuse_is_refused(tmp_path: Path, key: PrivateKey) -> None:
    """OpenSSL takes some of them; the error says what to use."""
    error = refused(keyed(tmp_path, key))
    assert error.name == "up_cert_file"
    assert "RSA with 2048 bits or more, P-256 or P-384" in str(error)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["RSA 2048", "P-256", "P-384"],
)
def test_a_key_that_is_taken_is_taken_by_grpc(tmp_path: Path, key: PrivateKey) -> None:
    """A client of gRPC connects with a server that shows it."""
    shown = certificate.load(keyed(tmp_path, key))
    assert shown is not None
    server = grpc.server(futures.ThreadPoolExecutor(1))
    pair = grpc.ssl_server_credentials([(shown.key, shown.chain)])
    port = server.add_secure_port("127.0.0.1:0", pair)
    server.start()
    try:
        trusted = grpc.ssl_channel_credentials(shown.pem.encode())
        name = (("grpc.ssl_target_name_override", "obs.example.com"),)
        with grpc.secure_channel(f"127.0.0.1:{port}", trusted, name) as channel:
            with pytest.raises(grpc.RpcError) as answer:
                channel.unary_unary("/x.Y/Z")(b"", timeout=20)
            assert answer.value.code() == grpc.StatusCode.UNIMPLEMENTED
    finally:
        server.stop(0)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_key_that_others_may_write_is_refused(
    authority: trustme.CA, tmp_path: Path, mode: int
) -> None:
    """They could put their own there; the error names the command that mends it."""
    settings = written(tmp_path, authority.issue_cert("a.example.com"))
    Path(settings.up_key_file).chmod(mode)
    error = refused(settings)
    assert error.name == "up_key_file"
    assert f"chmod go-w {settings.up_key_file}" in str(error)


@pytest.mark.parametrize(("mode", "said"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_key_that_anybody_may_read_is_spoken_of(
    authority: trustme.CA, tmp_path: Path, mode: int, said: bool
) -> None:
    """It is used all the same. A group may be meant to read it."""
    settings = written(tmp_path, authority.issue_cert("a.example.com"))
    Path(settings.up_key_file).chmod(mode)
    shown = certificate.load(settings)
    assert shown is not None
    told = list(certificate.warnings(settings, shown, shown.not_after - 15 * DAY))
    assert [f"chmod o-r {settings.up_key_file}" in each for each in told] == [True] * said


@pytest.mark.parametrize(("days", "said"), [(15, False), (13, True)])
def test_an_end_that_is_near_is_spoken_of(
    authority: trustme.CA, tmp_path: Path, days: int, said: bool
) -> None:
    """Two weeks before: its day and what to do."""
    settings = written(tmp_path, authority.issue_cert("a.example.com"))
    shown = certificate.load(settings)
    assert shown is not None
    told = list(certificate.warnings(settings, shown, shown.not_after - days * DAY))
    assert [f"expires on {shown.not_after:%Y-%m-%d}" in each for each in told] == [True] * said


def test_what_is_read_once_is_what_all_doors_show(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are renewed while they are read mix nothing up, no file comes of it."""
    settings = written(tmp_path, authority.issue_cert("a.example.com"))
    other = written(tmp_path, authority.issue_cert("b.example.com"), "other")
    read = certificate._read

    def renewed(name: str, path: str, missing: str) -> tuple[bytes, int]:
        found = read(name, path, missing)
        if name == "up_key_file":
            Path(other.up_cert_file).replace(settings.up_cert_file)
            Path(other.up_key_file).replace(settings.up_key_file)
        return found

    monkeypatch.setattr(certificate, "_read", renewed)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    shown = certificate.load(settings)
    assert shown is not None
    assert shown.pem.encode() in shown.chain
    assert Path(settings.up_cert_file).read_bytes() != shown.chain
