"""Receiving Alertmanager's webhooks: whoever sends must have the token, and send little."""

import hmac
from pathlib import Path
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from otel_llm.errors import SettingError

MAX_BODY_BYTES = 1 << 20
SHORTEST_TOKEN = 16
Kind = TypeVar("Kind", bound=msgspec.Struct)


async def received(request: Request, token: str, kind: type[Kind]) -> tuple[bytes, Kind] | Response:
    """The body of a request and the message in it, or why it is refused.

    Args:
        request: a POST.
        token: bearer token that it must have.
        kind: what of the message matters.
    """
    expected = f"Bearer {token}".encode()
    if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
        return Response("a bearer token is required\n", 401)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return Response("too large\n", 413)
    try:
        return bytes(body), msgspec.json.decode(body, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return Response("this is no message of Alertmanager\n", 400)


def token_in(file: Path, option: str = "--token-file") -> str:
    """The token that a file holds.

    Raises:
        SettingError: it cannot be read, or is too short to keep anybody out.
    """
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(option, f"{file} cannot be read", "Name a file with a token") from error
    if len(token) < SHORTEST_TOKEN:
        remedy = f"Write {SHORTEST_TOKEN} characters or more into it"
        raise SettingError(option, "the token is too short", remedy)
    return token
