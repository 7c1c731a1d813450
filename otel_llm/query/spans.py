"""The spans of a trace, as they are stored."""

from typing import TYPE_CHECKING

import msgspec

from otel_llm.clock import EpochNs
from otel_llm.query.statements import ask

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class StoredSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One span. Fields are columns of `otel_traces`.

    Attributes:
        event_names: of its events, in order.
        linked_traces: traces of the spans it links to.
    """

    start_ns: EpochNs
    duration_s: float
    service: str
    name: str
    kind: str
    status: str
    status_message: str
    span_id: str
    parent_span_id: str
    resource: dict[str, str]
    attributes: dict[str, str]
    event_names: list[str]
    linked_traces: list[str]


class _Bounds(msgspec.Struct, frozen=True, kw_only=True):
    from_ns: EpochNs
    to_ns: EpochNs


def trace_spans(client: "Client", trace: str) -> list[StoredSpan]:
    """The spans of a trace in the order they began; empty if none is stored.

    Two questions: when the trace was, from a small table that is ordered by trace, then its spans
    from the parts and granules of that time.

    Raises:
        StoreError: the store refused a question.
    """
    bounds = ask(client, "trace_bounds", _Bounds, trace=trace)
    if not bounds:
        return []
    limits = msgspec.structs.asdict(bounds[0])
    return ask(client, "trace_spans", StoredSpan, trace=trace, **limits)
