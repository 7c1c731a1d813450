"""What a certificate says of itself: until when it is valid, and of which kind its key is.

The standard library tells neither of a certificate that no connection has shown, so the few fields
are read here (RFC 5280, section 4.1; keys: RFC 3279 and RFC 5480).
"""

import datetime as dt
import ssl
from collections.abc import Iterator
from typing import NamedTuple

RENEW = dt.timedelta(days=14)
"""A certificate that is valid for less is spoken of."""

_RSA = bytes.fromhex("2a864886f70d010101")
_EC = bytes.fromhex("2a8648ce3d0201")
_CURVES = {
    bytes.fromhex("2a8648ce3d030107"): "P-256",
    bytes.fromhex("2b81040022"): "P-384",
    bytes.fromhex("2b81040023"): "P-521",
}
_EDWARDS = {bytes.fromhex("2b6570"): "Ed25519", bytes.fromhex("2b6571"): "Ed448"}
_VERSION, _UTC_TIME = 0xA0, 0x17


class Said(NamedTuple):
    """What one certificate says.

    Attributes:
        not_after: end of its validity.
        key: kind of its key: RSA, P-256, P-384, P-521, Ed25519, Ed448, or other.
        bits: length of an RSA key; 0 of another.
    """

    not_after: dt.datetime
    key: str
    bits: int


def expiry(not_after: dt.datetime, now: dt.datetime) -> str:
    """When a certificate expires or has, as the end of a sentence without a full stop."""
    verb = "expired" if not_after <= now else "expires"
    return f"{verb} on {not_after:%Y-%m-%d %H:%M} UTC; renew it and restart `up`"


def read(certificate: str) -> Said:
    """Read a certificate.

    Args:
        certificate: in PEM form.

    Raises:
        ValueError: it is none.
    """
    try:
        ((_, whole),) = _items(ssl.PEM_cert_to_DER_cert(certificate))
        fields = list(_items(next(_items(whole))[1]))
        first = 1 if fields[0][0] == _VERSION else 0
        _, (tag, text) = _items(fields[first + 3][1])
        (_, algorithm), (_, key) = _items(fields[first + 5][1])
        return Said(_time(tag, text.decode("ascii")), *_kind(algorithm, key))
    except (IndexError, StopIteration, ValueError) as error:
        message = "The text holds no certificate."
        raise ValueError(message) from error


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value in DER."""
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            more = size & 0x7F
            size = int.from_bytes(data[at : at + more], "big")
            at += more
        yield tag, data[at : at + size]
        at += size


def _time(tag: int, text: str) -> dt.datetime:
    """Two digits of a year from 50 on are of the last century (RFC 5280, 4.1.2.5.1)."""
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return dt.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=dt.timezone.utc)


def _kind(algorithm: bytes, key: bytes) -> tuple[str, int]:
    identifier, *parameters = (content for _, content in _items(algorithm))
    if identifier == _RSA:
        ((_, numbers),) = _items(key[1:])  # behind the count of unused bits
        return "RSA", int.from_bytes(next(_items(numbers))[1], "big").bit_length()
    if identifier == _EC:
        return _CURVES.get(parameters[0], "other"), 0
    return _EDWARDS.get(identifier, "other"), 0
