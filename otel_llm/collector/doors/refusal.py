"""Why a request is refused, and what that is called over HTTP and over gRPC."""

from typing import NamedTuple


class Refusal(Exception):  # noqa: N818  it is an answer, not a failure of ours
    """A request is not taken.

    Attributes:
        reason: its label on the metrics page, one of `REASONS`.
        http: HTTP status.
        code: number of the gRPC status, which is also the `code` of google.rpc.Status.
        message: for the sender; holds nothing of the request's content.
        retry_after_s: when to send the same again; None if that is of no use.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message
        self.http, self.code, self.retry_after_s = _KINDS[reason]


class _Kind(NamedTuple):
    http: int
    code: int
    retry_after_s: int | None = None


_KINDS = {
    "malformed": _Kind(400, 3),
    "media_type": _Kind(415, 3),
    "unauthenticated": _Kind(401, 16),
    "forbidden": _Kind(403, 7),
    "oversize": _Kind(413, 8),
    "incomplete": _Kind(408, 4),
    "busy": _Kind(429, 8, 2),
    "spool_failed": _Kind(503, 14, 5),
}
REJECTIONS = {
    "invalid": "an id or a time that cannot be one",
    "outside": "a time before what is kept, or more than a day ahead",
}
"""Why single items of a request are not kept, by the name on the metrics page."""

REASONS = tuple(_KINDS)
"""Every reason. All are shown from the start: a counter that comes with its first loss hides it."""
