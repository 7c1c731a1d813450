"""Keeps what a caller sent out of a server span: prompts in exceptions, keys in query strings."""

from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.util.types import Attributes

_URLS = ("http.target", "http.url", "url.full")
_TEXTS = frozenset({"exception.message", "exception.stacktrace"})
_MARK = "_otel_llm_shielded"


def shield(span: Span) -> None:
    """Blank the query in a span's attributes; from now on it takes an exception's type alone.

    The text and the trace of an exception may quote a prompt, and so may a status made of them: a
    status keeps its code and no description.

    Args:
        span: a server span that has just begun.
    """
    if not span.is_recording() or _MARK in vars(span):
        return
    _blank_query(span)
    set_status, add_event = span.set_status, span.add_event

    def record_exception(
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        kind = type(exception)
        name = kind.__qualname__
        if kind.__module__ != "builtins":
            name = f"{kind.__module__}.{name}"
        kept = {key: value for key, value in (attributes or {}).items() if key not in _TEXTS}
        known = {"exception.type": name, "exception.escaped": str(escaped)}
        add_event("exception", {**known, **kept}, timestamp)

    def set_plain_status(status: Status | StatusCode, description: str | None = None) -> None:
        del description
        set_status(status.status_code if isinstance(status, Status) else status)

    vars(span).update({
        _MARK: True, "record_exception": record_exception, "set_status": set_plain_status,
    })  # fmt: skip


def _blank_query(span: Span) -> None:
    """An attribute cannot be taken back, only be set anew."""
    attributes = getattr(span, "attributes", None) or {}
    if "url.query" in attributes:
        span.set_attribute("url.query", "")
    for name in _URLS:
        if name in attributes:
            span.set_attribute(name, str(attributes[name]).partition("?")[0])
