"""Hand-made facts of a few journeys, in the real schema of an embedded store.

Times are milliseconds after BASE_NS. Engine `alpha` serves four requests in batches, `beta` dies,
and the gateway retries, sheds and fails. Every number is made up; their sums are not.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_llm.exporters.clickhouse.engine import Engine
from tests.stores import opened

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Row = dict[str, Any]

BASE_NS = 1_790_000_000_000_000_000
GATEWAY, ALPHA, BETA = "9a" * 16, "a1" * 16, "b2" * 16
_CLOCK: Row = {"boot_id": "boot", "clock_offset_ns": 0, "clock_error_ns": 40_000}
_KERNELS = (
    ("attention", 9), ("gemm_gate_up", 7), ("gemm_down", 4), ("gemm_qkv", 4), ("gemm_out", 2),
    ("sample", 2), ("rms_norm", 1), ("rope", 1),
)  # fmt: skip


def call_id(name: str) -> str:
    """The id of a sample call: its name in hex digits, padded."""
    return (name.encode().hex() + "c" * 32)[:32]


def trace_id(name: str) -> str:
    """The trace of a sample call."""
    return (name.encode().hex() + "7" * 32)[:32]


def span_id(name: str, attempt: int = 0) -> str:
    """The span of a sample call, or of one of its attempts."""
    return (name.encode().hex()[:14] + "5" * 16)[:14] + f"{attempt:02}"


def at(ms: float | None) -> str | None:
    """A moment of the sample as ClickHouse reads it."""
    if ms is None:
        return None
    seconds, rest = divmod(BASE_NS + round(ms * 1e6), 1_000_000_000)
    return f"{seconds}.{rest:09}"


def call(name: str, arrival: float, finished: float, **more: Any) -> Row:  # noqa: ANN401
    """A row of `llm_gateway_calls`. Times in milliseconds."""
    row: Row = {
        "instance_id": GATEWAY, "service": "gateway", "host": "node-1", "call_id": call_id(name),
        "trace_id": trace_id(name), "span_id": span_id(name), "tenant": "acme", "tier": "gold",
        "arrival": at(arrival), "finished": at(finished), "method": "POST",
        "route": "/v1/chat/completions", "operation": "chat", "model": "reference-4l",
        "outcome": "finished", "status_code": 200, "stream": True, "attempts": 1,
        "request_bytes": 900, "response_bytes": 4000, **_CLOCK,
    }  # fmt: skip
    return {**row, **more}


def attempt(name: str, number: int, upstream: str, start: float, end: float, **more: Any) -> Row:  # noqa: ANN401
    """A row of `llm_attempts`. Times in milliseconds."""
    row: Row = {
        "instance_id": GATEWAY, "service": "gateway", "host": "node-1", "call_id": call_id(name),
        "trace_id": trace_id(name), "span_id": span_id(name, number), "attempt": number,
        "upstream": upstream, "started": at(start), "finished": at(end), "outcome": "finished",
        "status_code": 200, "breaker": "closed", **_CLOCK,
    }  # fmt: skip
    return {**row, **more}


def engine(instance: str) -> Row:
    """The columns that all rows of one engine share."""
    service = {ALPHA: "engine-alpha", BETA: "engine-beta"}[instance]
    return {
        "instance_id": instance, "service": service, "host": "node-1", "engine": "reference",
        "engine_version": "1", "model": "reference-4l", "dp_rank": 0, **_CLOCK,
    }  # fmt: skip


def request(
    name: str,
    number: int,
    index: int,
    times: Sequence[float | None],
    **more: Any,  # noqa: ANN401
) -> Row:
    """A row of `llm_requests`.

    Args:
        name: the call; its attempt `number` brought the request.
        number: of the attempt; 0 for none.
        index: `request_index`.
        times: arrival, queued, scheduled, first_token, first_output, last_token, finished, in
            milliseconds.
        more: further columns.
    """
    columns = ("arrival", "queued", "scheduled", "first_token", "first_output", "last_token")
    row: Row = {
        **engine(ALPHA), "request_index": index, "request_id": f"cmpl-{name}-0",
        "api_request_id": f"cmpl-{name}", "trace_id": trace_id(name),
        "span_id": f"e{index:015}", "parent_span_id": span_id(name, number) if number else "",
        "tenant": "acme", "tier": "gold", "attempt": number, "operation": "chat",
        "outcome": "finished", "finish_reason": "length", "sample_count": 1,
        "finished": at(times[6]), **dict(zip(columns, map(at, times), strict=False)),
    }  # fmt: skip
    return {**row, **more}


Member = tuple[int, int, int, int]
"""One member of a batch: request_index, phase, tokens, context."""


def step(instance: str, seq: int, start: float, end: float | None, batch: list[Member]) -> Row:
    """A row of `llm_steps`. Times in milliseconds."""
    prefill = sum(tokens for _, phase, tokens, _ in batch if phase == 0)
    return {
        **engine(instance), "seq": seq, "status": "in_flight" if end is None else "done",
        "scheduled": at(start), "result": at(end), "running": len(batch), "waiting": 1,
        "kv_used": 40, "kv_total": 160, "prefill_tokens": prefill,
        "decode_tokens": sum(tokens for _, phase, tokens, _ in batch if phase == 1),
        **{
            column: [member[place] for member in batch]
            for place, column in enumerate(("request_index", "phase", "tokens", "context"))
        },
    }  # fmt: skip


def kernels(instance: str, seq: int, start: float, end: float) -> Iterator[Row]:
    """Rows of `llm_kernels`: the step's time shared out to the names, four layers each."""
    unit = (end - start) * 0.9 / (4 * sum(weight for _, weight in _KERNELS))
    cursor = start
    for name, weight in _KERNELS * 4:
        yield {
            **{k: v for k, v in engine(instance).items() if not k.startswith(("engine", "model"))},
            "step_seq": seq, "source": "cpu", "device": "cpu:0", "name": name,
            "start": at(cursor), "duration_ns": round(unit * weight * 1e6),
        }  # fmt: skip
        cursor += unit * weight


def alpha_steps() -> list[tuple[int, float, float, list[Member]]]:
    """What engine alpha did: number, from, to (milliseconds) and batch of each step.

    Request 1 is the retried call, 2 and 3 the two samples, 4 the one cancelled in prefill; 90 and
    91 are globex's and initech's, 99 has not ended. 5 came straight to the engine, which has an API
    server of its own and proposes two drafts in its second step.
    """
    steps: list[tuple[int, float, float, list[Member]]] = [
        (1, 34.0, 79.0, [(1, 0, 96, 64), (90, 1, 1, 300)]),
        (2, 79.0, 112.0, [(1, 0, 52, 160), (90, 1, 1, 301)]),
    ]
    clock = 112.0
    for number in range(60):
        seq, members = number + 3, [(1, 1, 1, 212 + number), (90, 1, 1, 302 + number)]
        if number == 20:  # preempted: request 1 sits out a step, then comes back as prefill
            members = members[1:]
        if number == 21:
            members[0] = (1, 0, 233, 0)
        if 10 <= number < 40:
            members.append((91, 0, 128, 0) if number == 10 else (91, 1, 1, 128 + number))
        if number >= 30:
            members.append((99, 1, 1, 80 + number))
        if 40 <= number < 52:
            phase = 0 if number == 40 else 1
            members += [(2, phase, 40 if phase == 0 else 1, 0), (3, phase, 1, 40)]
        if number in (50, 51):
            members.append((4, 0, 256, 256 * (number - 50)))
        length = 7.0 + 1.5 * len(members) + 0.12 * sum(t for _, p, t, _ in members if p == 0)
        steps.append((seq, round(clock, 3), round(clock + length, 3), members))
        clock += length
    steps.append((63, round(clock, 3), round(clock + 20, 3), [(5, 0, 30, 0)]))
    steps.append((64, round(clock + 20, 3), round(clock + 30, 3), [(5, 1, 3, 30)]))
    return steps


Moments = dict[int, float]
"""A time in milliseconds by number of a step of engine alpha."""


def calls(start: Moments, end: Moments) -> list[Row]:
    """One call per story."""
    last = end[62]
    return [
        call(
            "retried", 0, last + 9, attempts=2, first_content=at(114), last_content=at(last + 8),
            chunks=60, prompt_tokens=212, cached_tokens=64, output_tokens=60,
            response_id="cmpl-retried", samples=1,
        ),
        call(
            "twice", start[43] - 30, end[54] + 3, first_content=at(end[43] + 2), chunks=24,
            last_content=at(end[54] + 2), response_id="cmpl-twice", samples=2,
        ),
        call(
            "gone", start[53] - 20, end[54] + 1, outcome="cancelled", status_code=200,
            error_class="client_disconnect", tenant="globex", tier="",
        ),
        call(
            "shed", 300, 300.4, outcome="shed", status_code=429, error_class="overloaded",
            attempts=0, tenant="globex", tier="", stream=False,
        ),
        call(
            "broken", 400, 431, outcome="failed", status_code=502, attempts=2,
            error_class="upstream_connect", tenant="initech", tier="",
        ),
        call(
            "died", 500, 560, outcome="failed", error_class="upstream_read", status_code=200,
            first_content=at(531), last_content=at(540), chunks=2,
        ),
        call(
            "waited", 600, 640, outcome="cancelled", status_code=None,
            error_class="client_disconnect", response_id="resp-waited",
        ),
    ]  # fmt: skip


def attempts(start: Moments, end: Moments) -> list[Row]:
    """The calls' tries."""
    last = end[62]
    return [
        attempt(
            "retried", 1, "engine-beta", 0.6, 3.7, outcome="failed", status_code=503,
            error_class="upstream_status",
        ),
        attempt(
            "retried", 2, "engine-alpha", 13.7, last + 8.5, backoff_ns=10_000_000,
            first_byte=at(113), breaker="closed",
        ),
        attempt("twice", 1, "engine-alpha", start[43] - 29, end[54] + 2.5),
        attempt(
            "gone", 1, "engine-alpha", start[53] - 19, end[54] + 1, outcome="cancelled",
            error_class="client_disconnect",
        ),
        attempt(
            "broken", 1, "engine-beta", 401, 405, outcome="failed", status_code=None,
            error_class="upstream_connect",
        ),
        attempt(
            "broken", 2, "engine-beta", 425, 430, outcome="failed", status_code=None,
            error_class="upstream_connect", breaker="half_open", backoff_ns=20_000_000,
        ),
        attempt(
            "died", 1, "engine-beta", 501, 559, outcome="failed", error_class="upstream_read",
        ),
        attempt(
            "waited", 1, "engine-alpha", 601, 640, outcome="cancelled",
            error_class="client_disconnect", status_code=None,
        ),
    ]  # fmt: skip


def requests(start: Moments, end: Moments) -> list[Row]:
    """What reached an engine."""
    last = end[62]
    return [
        request(
            "retried", 2, 1, (14.6, 15.2, 34, 112, 112.4, last, last + 0.5), prompt_tokens=212,
            cached_tokens=64, output_tokens=60, preemptions=1, recomputed_tokens=233,
        ),
        *(
            request(
                "twice", 1, index,
                (start[43] - 28, start[43] - 27, start[43], end[43], end[43] + 1, end[54],
                    end[54] + 0.2 * index),
                request_id=f"cmpl-twice-{index - 2}", prompt_tokens=40, cached_tokens=0,
                output_tokens=12, sample_index=index - 2, sample_count=2,
            )
            for index in (2, 3)
        ),
        request(
            "gone", 1, 4, (start[53] - 18, start[53] - 17.5, start[53], None, None, None,
            end[54] + 1.5), prompt_tokens=700, outcome="cancelled", finish_reason="abort",
            tenant="globex", tier="",
        ),
        request(
            "direct", 0, 5, (start[63] - 2, start[63] - 1, start[63], end[63], end[63] + 1,
            end[64], end[64] + 1), prompt_tokens=30, output_tokens=3, tenant="unknown", tier="",
            rejected_tokens=1, delivered_tokens=2, lora="french",
        ),
        request(
            "died", 1, 1, (502, 503, 510, 530, 530.5, 539, 545), **engine(BETA),
            prompt_tokens=20, output_tokens=3, outcome="engine_died", finish_reason="",
            incomplete=True,
        ),
        request(
            "waited", 1, 6, (602, 602.5, None, None, None, None, 640.5), prompt_tokens=11,
            outcome="cancelled", finish_reason="abort",
        ),
        request("globex", 0, 90, (1, 2, 10, 20, 20, last, last), tenant="globex", tier=""),
        request("initech", 0, 91, (200, 201, start[13], end[13], end[13], end[42], end[42]),
                tenant="initech", tier=""),
    ]  # fmt: skip


def native_span(start: Moments, end: Moments) -> Row:
    """The span that vLLM itself makes of the direct request, as a collector stores it."""
    began = start[63] - 2
    return {
        "Timestamp": at(began), "TraceId": trace_id("direct"), "SpanId": "d" * 16,
        "SpanName": "llm_request", "SpanKind": "Server", "ServiceName": "vllm",
        "SpanAttributes": {"gen_ai.request.id": "cmpl-direct"},
        "Duration": round((end[64] + 1 - began) * 1e6),
    }  # fmt: skip


def rows() -> dict[str, list[Row]]:
    """All rows of the sample by table."""
    steps = alpha_steps()
    start = {seq: begin for seq, begin, _, _ in steps}
    end = {seq: stop for seq, _, stop, _ in steps}
    beta = [
        (1, 510.0, 530.0, [(1, 0, 20, 0)]), (2, 530.0, 534.5, [(1, 1, 1, 20)]),
        (3, 534.5, 539.0, [(1, 1, 1, 21)]), (4, 539.0, None, [(1, 1, 1, 22)]),
    ]  # fmt: skip
    died = {
        **{k: v for k, v in engine(BETA).items() if k not in ("model", "dp_rank")},
        "kind": "engine", "event": "died", "time": at(545), "steps_in_flight": [4],
        "requests_in_flight": ["cmpl-died-0"], "lost_records": 0,
    }  # fmt: skip
    died = {k: v for k, v in died.items() if not k.startswith("engine")}
    return {
        "llm_gateway_calls": calls(start, end),
        "llm_attempts": attempts(start, end),
        "llm_requests": requests(start, end),
        "llm_steps": [
            *(step(ALPHA, *one) for one in steps[:-1]),
            {**step(ALPHA, *steps[-1]), "drafts": [2], "accepted": [1], "cudagraph_mode": "FULL"},
            *(step(BETA, *one) for one in beta),
        ],
        "llm_kernels": [
            row for seq, begin, stop, _ in steps for row in kernels(ALPHA, seq, begin, stop)
        ],
        "llm_engine_events": [died],
        "otel_traces": [native_span(start, end)],
    }


def fill(engine: Engine) -> None:
    """Insert the sample."""
    with engine.session() as session:
        for table, lines in rows().items():
            body = "\n".join(json.dumps(line) for line in lines)
            session.insert(f"INSERT INTO {table}", "JSONEachRow", body.encode())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Client]":
    """A client of an embedded store that holds the sample."""
    directory: Path = tmp_path_factory.mktemp("store")
    with opened(directory) as engine, closing(engine.client()) as client:
        fill(engine)
        yield client
