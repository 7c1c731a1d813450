"""The certificate of `up`'s doors: read, and tried out before anything is served with it."""

import contextlib
import datetime as dt
import os
import re
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from otel_llm import pinning, x509
from otel_llm.errors import SettingError
from otel_llm.settings import Settings

_CERT, _KEY = "up_cert_file", "up_key_file"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_TURNS = 4
"""A handshake is over after two turns of each side."""

_RSA_BITS = 2048
_CURVES = frozenset({"P-256", "P-384"})
"""BoringSSL, which gRPC's clients speak with, takes no signature by another kind unless asked."""


class Certificate(NamedTuple):
    """What the doors show.

    Attributes:
        pem: the certificate alone, without those that signed it.
        chain: the whole file, for gRPC.
        key: its private key, for gRPC.
        context: for the HTTP doors. TLS 1.2 or newer. Of the same bytes.
        not_after: end of its validity.
        key_mode: permission bits of the key's file.
    """

    pem: str
    chain: bytes
    key: bytes
    context: ssl.SSLContext
    not_after: dt.datetime
    key_mode: int

    def __repr__(self) -> str:
        """Without the key."""
        return f"Certificate({self.pem!r})"


def load(settings: Settings) -> Certificate | None:
    """The certificate that the settings name, or None if they name none.

    Raises:
        SettingError: one file of two is named, a file cannot be read or is not PEM, the key is
            encrypted or another's, of a kind that gRPC's clients refuse, or for others to write, or
            a client would refuse the certificate: it has expired, is not valid yet or not for
            servers.
    """
    cert_file, key_file = settings.up_cert_file, settings.up_key_file
    if not cert_file and not key_file:
        return None
    chain, _ = _read(_CERT, cert_file, _KEY)
    key, mode = _read(_KEY, key_file, _CERT)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        _refuse(
            _KEY, f"others may write to {key_file}", f"chmod go-w {key_file}, or make a new key"
        )
    found = _PEM.search(chain.decode("ascii", "replace"))
    if found is None:
        _refuse(_CERT, f"{cert_file} holds no certificate", "It must be in PEM form")
    if b"ENCRYPTED" in key:
        _refuse(_KEY, f"the key in {key_file} is encrypted", "Name a file with the plain key")
    said = _said(found.group(), cert_file)
    context = _server_context(chain, key, cert_file, key_file)
    _try_out(context, found.group(), cert_file)
    return Certificate(found.group() + "\n", chain, key, context, said.not_after, mode)


def warnings(settings: Settings, shown: Certificate, now: dt.datetime) -> Iterator[str]:
    """What wants mending soon, a sentence each.

    Args:
        settings: as given to `load`.
        shown: what it gave.
        now: the time, with its zone.
    """
    if shown.not_after - now < x509.RENEW:
        yield f"The certificate in {settings.up_cert_file} {x509.expiry(shown.not_after, now)}."
    if shown.key_mode & stat.S_IROTH:
        key_file = settings.up_key_file
        yield f"Anybody may read the key in {key_file}. Run: chmod o-r {key_file}"


def _read(name: str, path: str, other: str) -> tuple[bytes, int]:
    """A file's bytes and its permission bits."""
    if not path:
        _refuse(name, f"not set, but {other} is", "Set both, or neither")
    try:
        with Path(path).open("rb") as file:
            return file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except OSError as error:
        _refuse(name, f"{path} cannot be read ({error.strerror})", "Name a readable PEM file")


def _said(pem: str, cert_file: str) -> x509.Said:
    try:
        said = x509.read(pem)
    except ValueError:
        _refuse(_CERT, f"{cert_file} holds no certificate", "It must be in PEM form")
    strong = said.key in _CURVES or (said.key == "RSA" and said.bits >= _RSA_BITS)
    if not strong:
        kind = f"{said.bits} bits of RSA" if said.bits else said.key
        problem = f"{cert_file} is for a key that clients over gRPC refuse ({kind})"
        _refuse(_CERT, problem, "Use RSA with 2048 bits or more, P-256 or P-384")
    return said


def _server_context(chain: bytes, key: bytes, cert_file: str, key_file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        with _path(chain) as chain_path, _path(key) as key_path:
            # Without a password OpenSSL would ask the terminal for one.
            context.load_cert_chain(chain_path, key_path, password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            problem = f"the key in {key_file} is not that of the certificate in {cert_file}"
            _refuse(_KEY, problem, "Name the key it was issued for; the certificate comes first")
        problem = f"{cert_file} and {key_file} are no certificate and key ({error.reason})"
        _refuse(_CERT, problem, "Both must be in PEM form")
    return context


@contextlib.contextmanager
def _path(content: bytes) -> Iterator[str]:
    """A path with these bytes behind it, in memory alone. OpenSSL takes a path or nothing."""
    file = os.memfd_create("otel-llm", os.MFD_CLOEXEC)
    try:
        os.write(file, content)
        yield f"/proc/self/fd/{file}"
    finally:
        os.close(file)


def _try_out(server: ssl.SSLContext, pem: str, cert_file: str) -> None:
    """Shake hands with ourselves, as the programs of this machine will."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        ends = [pinning.context(pem).wrap_bio(back, there)]
        ends.append(server.wrap_bio(there, back, server_side=True))
        for _ in range(_TURNS):
            for end in ends:
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        problem = f"{cert_file} cannot be used: {error.verify_message}"
        _refuse(_CERT, problem, "Name a server's certificate that is valid now")
    except ssl.SSLError as error:
        problem = f"{cert_file} cannot be used ({error.reason})"
        _refuse(_CERT, problem, "Name a server's certificate in PEM form")


def _refuse(name: str, problem: str, remedy: str) -> NoReturn:
    raise SettingError(name, problem, remedy) from None
