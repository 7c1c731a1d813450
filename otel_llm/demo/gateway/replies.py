"""What the gateway answers by itself, in OpenAI's shape."""

import msgspec
from starlette.responses import Response

RETRY_AFTER_S = 1


def error_body(status: int, message: str, code: str) -> bytes:
    """An error object.

    Args:
        status: the HTTP status it goes with.
        message: for people; holds nothing of the call.
        code: short class, for programs.
    """
    kind = "invalid_request_error" if status < 429 else "server_error"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "code": code}})


def error(status: int, message: str, code: str) -> Response:
    """An error response; one that may pass says when to come again."""
    again = {"retry-after": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    body = error_body(status, message, code)
    return Response(body, status, headers=again, media_type="application/json")


def error_event(message: str, code: str) -> bytes:
    """An error inside a stream whose status line has gone out."""
    return b"data: " + error_body(502, message, code) + b"\n\n"
