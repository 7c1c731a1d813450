"""Errors of the API, in OpenAI's shape."""

from typing import Any

import msgspec
from starlette.responses import Response


class ApiError(Exception):
    """An error that becomes an HTTP response.

    Args:
        status: HTTP status.
        message: what is wrong and how to mend it; never prompt text.
        param: the field it is about.
        code: OpenAI's word for it.
        retry_after_s: seconds after which a retry makes sense.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        kind = "invalid_request_error" if self.status < 429 else "server_error"
        if self.status == 429:
            kind = "rate_limit_error"
        return {
            "error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        }

    def response(self) -> Response:
        """The HTTP response."""
        headers = {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        content = msgspec.json.encode(self.body())
        return Response(content, self.status, headers, media_type="application/json")


def engine_failed(error_type: str) -> ApiError:
    """A step failed: `error_type` is the class name of what was raised."""
    return ApiError(500, f"The engine failed with {error_type}. Restart it.", code="engine_dead")


def queue_full() -> ApiError:
    """The queue has no room."""
    message = "The queue is full. Retry after the time in the Retry-After header."
    return ApiError(429, message, code="queue_full", retry_after_s=1)
