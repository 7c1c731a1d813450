"""Who may come in: the Host header, the Origin header, and the token."""

import base64
import binascii
import hmac
from typing import NamedTuple

from starlette.requests import Request

from otel_llm.exporters.clickhouse.errors import AUTHENTICATION_FAILED, EngineError

USER = "otel_llm"
READER = "otel_llm_read"


class Caller(NamedTuple):
    """Who asks.

    Attributes:
        user: the name.
        may_write: whether statements of this user may change anything.
    """

    user: str
    may_write: bool


class Gate:
    """Checks a request before anything of it is read.

    Args:
        token: the secret that callers must know; empty lets everybody in (OTLP on loopback).
        hosts: allowed values of Host, without port; this is what stops DNS rebinding.
        origins: allowed values of Origin, which browsers send.
        read_token: the secret of the user that may only read; empty if there is none.
    """

    def __init__(
        self, token: str, hosts: tuple[str, ...], origins: tuple[str, ...], read_token: str = ""
    ) -> None:
        self._token = token.encode()
        self._read_token = read_token.encode()
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)
        self._origins = frozenset(origins)

    def address(self, request: Request) -> str | None:
        """What is wrong with the request's Host or Origin, or None."""
        host = _without_port(request.headers.get("host", ""))
        if host not in self._hosts:
            return f"Host {host!r} is not served here. Add it to the setting allowed_hosts."
        origin = request.headers.get("origin")
        if origin is not None and origin not in self._origins:
            return f"Origin {origin!r} is not allowed. Add it to the setting allowed_origins."
        return None

    def knows(self, secret: str) -> bool:
        """Whether `secret` is the token, compared in constant time."""
        return not self._token or hmac.compare_digest(secret.encode(), self._token)

    def clickhouse(self, request: Request) -> Caller:
        """Check user and password as ClickHouse's HTTP interface takes them.

        Raises:
            EngineError: 194 without credentials, 516 with wrong ones.
        """
        given = _basic(request) or _headers(request) or _parameters(request)
        if given is None:
            detail = (
                f"Give user {USER} and the token: Authorization: Basic, X-ClickHouse-Key, or the"
                " password parameter. The token is in the file `token` of the data directory;"
                f" user {READER} with the one in `token_read` may only read"
            )
            raise EngineError(194, detail, "REQUIRED_PASSWORD")
        user, secret = given
        # All are compared always, so that time tells nothing.
        writer = self.knows(secret) & _same(user, USER.encode())
        reader = _same(secret, self._read_token) & _same(user, READER.encode())
        if not (writer or (reader and self._read_token)):
            detail = f"{USER}: Authentication failed: token is incorrect, or the user is another"
            raise EngineError(AUTHENTICATION_FAILED, detail, "AUTHENTICATION_FAILED")
        return Caller(USER if writer else READER, writer)

    def bearer(self, request: Request) -> bool:
        """Whether the request carries the token as `Authorization: Bearer`, if one is needed."""
        return self.knows_bearer(request.headers.get("authorization", ""))

    def knows_bearer(self, authorization: str) -> bool:
        """Whether `Bearer TOKEN` is the token, if one is needed."""
        kind, _, secret = authorization.partition(" ")
        return not self._token or (kind.lower() == "bearer" and self.knows(secret.strip()))


def _same(given: str, known: bytes) -> bool:
    return hmac.compare_digest(given.encode(), known)


def _without_port(host: str) -> str:
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _basic(request: Request) -> tuple[str, str] | None:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, secret


def _headers(request: Request) -> tuple[str, str] | None:
    secret = request.headers.get("x-clickhouse-key")
    if secret is None:
        return None
    return request.headers.get("x-clickhouse-user", USER), secret


def _parameters(request: Request) -> tuple[str, str] | None:
    secret = request.query_params.get("password")
    if secret is None:
        return None
    return request.query_params.get("user", USER), secret
