"""Which call and attempt a request belongs to."""

from typing import TYPE_CHECKING

from otel_llm.query.ownership import attempt_of, owned_requests, serving_requests
from otel_llm.query.rows import Attempt, Call, Request

if TYPE_CHECKING:
    from tests.query.conftest import Make


def test_the_attempts_span_decides(make: "Make") -> None:
    """Two calls in one trace keep their own requests; one of neither stays without."""
    calls = [make(Call, call_id=name, trace_id="t") for name in "ab"]
    attempts = [make(Attempt, call_id=name, trace_id="t", span_id=f"s{name}") for name in "ab"]
    requests = [make(Request, trace_id="t", parent_span_id=f"s{name}") for name in "bax"]
    assert owned_requests(calls, attempts, requests) == {"b": [requests[0]], "a": [requests[1]]}


def test_a_proxy_in_between(make: "Make") -> None:
    """A stranger's span as parent: the trace's only call owns it, its number names the attempt."""
    calls = [make(Call, call_id="a", trace_id="t")]
    attempts = [
        make(Attempt, call_id="a", trace_id="t", span_id=f"s{n}", attempt=n) for n in (1, 2)
    ]
    request = make(Request, trace_id="t", parent_span_id="proxy", attempt=2)
    assert owned_requests(calls, attempts, [request]) == {"a": [request]}
    assert attempt_of(request, attempts) == attempts[1]
    unknown = make(Request, trace_id="t", parent_span_id="proxy")
    assert attempt_of(unknown, attempts) is None


def test_another_trace_owns_nothing(make: "Make") -> None:
    """The same span id in another trace is another span."""
    calls = [make(Call, call_id="a", trace_id="t")]
    attempts = [make(Attempt, call_id="a", trace_id="t", span_id="s")]
    assert owned_requests(calls, attempts, [make(Request, trace_id="u", parent_span_id="s")]) == {}


def test_retried_requests_do_not_serve(make: "Make") -> None:
    """Only the last attempt that has requests serves; unplaced ones serve if none is placed."""
    attempts = [make(Attempt, span_id=f"s{n}", attempt=n) for n in (1, 2, 3)]
    first, second = (make(Request, parent_span_id=f"s{n}", request_index=n) for n in (1, 2))
    assert serving_requests(attempts, [first, second]) == [second]
    stranger = make(Request, parent_span_id="proxy")
    assert serving_requests(attempts, [stranger]) == [stranger]
