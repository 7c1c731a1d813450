"""Facts to blocks, compared whole, and through ClickHouse and back."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from otel_llm.context import TenantTag
from otel_llm.conventions import ALL_TABLES, Table, Tables
from otel_llm.exporters.clickhouse.rows import (
    Block,
    arrow_schema,
    encode_blocks,
    salvage_blocks,
)
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from otel_llm.facts.joined import (
    Joined,
    JoinedAttempt,
    JoinedCall,
    JoinedKernels,
    JoinedRequest,
    JoinedStep,
    KernelTotals,
    ProducerEvent,
    SpanIds,
    StepKernelNames,
    StepKernelSums,
    by_kind,
)
from otel_llm.testing import Swallowed
from tests.agent.builders import (
    ATTEMPT_SPAN_ID,
    ENGINE,
    ENGINE_ID,
    GATEWAY,
    GATEWAY_ID,
    SERVER_SPAN_ID,
    T0,
    TRACE_ID,
    WALL_NS,
    anchor,
    arrived,
    at,
    attempt,
    call,
    done,
    finished,
    kernels,
    scheduled,
    wall,
)
from tests.stores import opened

WRITTEN = (
    Tables.CALLS, Tables.ATTEMPTS, Tables.REQUESTS, Tables.STEPS, Tables.EVENTS, Tables.KERNELS,
    Tables.STEP_KERNELS, Tables.KERNELS_10S, Tables.STEP_KERNEL_NAMES,
)  # fmt: skip
IDS = SpanIds(TRACE_ID, "1" * 16, ATTEMPT_SPAN_ID)
STEP_IDS = SpanIds("2" * 32, "3" * 16)
CLOCK = {"boot_id": "boot-1", "clock_offset_ns": WALL_NS - T0, "clock_error_ns": 41}
ENGINE_COLUMNS = {"instance_id": ENGINE_ID, "service": "chat-prod", "host": "node-7"}
GATEWAY_COLUMNS = {"instance_id": GATEWAY_ID, "service": "edge", "host": "node-7"}
MODEL_COLUMNS = {"engine": "reference", "engine_version": "0.1", "model": "tiny", "dp_rank": 3}

REQUEST = JoinedRequest(
    ENGINE, anchor(), "finished", arrived(lora="french"),
    finished(recomputed_tokens=6, rejected_tokens=7, discarded_tokens=8, unscheduled_tokens=9),
    IDS, TenantTag("acme", "gold", 2), delivered_tokens=3,
)  # fmt: skip
STEP = JoinedStep(
    ENGINE, anchor(), "done", scheduled(1, 3, (1, 2), drafts=[2, 1]),
    msgspec.structs.replace(done(1, 8, (1, 0)), accepted=[1, 0], cudagraph_mode="FULL"),
    at(8), STEP_IDS, parts=[999_999, 1],
)  # fmt: skip
ENGINE_ON_GPUS = msgspec.structs.replace(ENGINE, devices=["GPU-1", "GPU-2"], ranks=4)
FACTS: list[Joined] = [
    JoinedCall(GATEWAY, anchor(), "finished", call()),
    JoinedAttempt(GATEWAY, anchor(), attempt()),
    REQUEST,
    STEP,
    JoinedKernels(ENGINE, anchor(), kernels(), STEP_IDS),
    ProducerEvent(ENGINE_ON_GPUS, anchor(), "died", at(10), (4, 5), ("req-1",), 6),
    StepKernelSums(
        producer=ENGINE,
        anchor=anchor(),
        seq=1,
        source="cupti",
        device="GPU-1",
        base_ns=at(3.5),
        span_ns=90,
        busy_ns=60,
        launch_gap_ns=20,
        wait_gap_ns=10,
        overlap_ns=5,
        classes=["gemm", "collective"],
        kernels=[2, 1],
        kernel_ns=[40, 25],
        rank=2,
        incomplete=True,
        bound=True,
    ),
    KernelTotals(
        producer=ENGINE,
        source="cupti",
        device="GPU-1",
        time_ns=wall(0),
        rank=2,
        names=["a_gemm", "b"],
        classes=["gemm", "other"],
        kernels=[3, 1],
        total_ns=[30, 7],
        min_ns=[9, 7],
        max_ns=[12, 7],
    ),
    StepKernelNames(
        producer=ENGINE,
        anchor=anchor(),
        seq=1,
        source="cupti",
        device="GPU-1",
        kept="slow",
        rank=2,
        names=["a_gemm", "b"],
        classes=["gemm", "other"],
        first_ns=[at(4), at(5)],
        kernels=[3, 1],
        total_ns=[30, 7],
        max_ns=[12, 7],
    ),
]
GPU = {"source": "cupti", "device": "GPU-1", "rank": 2}

REQUEST_ROW = {
    **ENGINE_COLUMNS, **MODEL_COLUMNS,
    "request_index": 1, "request_id": "req-1", "api_request_id": "api-1",
    "trace_id": TRACE_ID, "span_id": "1" * 16, "parent_span_id": ATTEMPT_SPAN_ID,
    "tenant": "acme", "tier": "gold", "attempt": 2, "operation": "chat",
    "arrival": wall(0), "queued": wall(1), "scheduled": wall(3), "first_token": wall(8),
    "first_output": wall(9), "last_token": wall(28), "finished": wall(31),
    "outcome": "finished", "finish_reason": "stop", "error_type": "",
    "prompt_tokens": 11, "cached_tokens": 4, "output_tokens": 5, "recomputed_tokens": 6,
    "rejected_tokens": 7, "discarded_tokens": 8, "unscheduled_tokens": 9, "delivered_tokens": 3,
    "max_tokens": 17, "preemptions": 0, "sample_index": 0, "sample_count": 1, "lora": "french",
    "incomplete": False, **CLOCK,
}  # fmt: skip
STEP_ROW = {
    **ENGINE_COLUMNS, **MODEL_COLUMNS,
    "seq": 1, "status": "done", "scheduled": wall(3), "result": wall(8), "execute_ns": 4_321,
    "running": 6, "waiting": 2, "kv_used": 30, "kv_total": 120,
    "prefill_tokens": 7, "decode_tokens": 1, "request_index": [1, 2], "phase": [0, 1],
    "tokens": [7, 1], "context": [4, 21], "emitted": [1, 0],
    "drafts": [2, 1], "accepted": [1, 0], "cudagraph_mode": "FULL", "parts": [999_999, 1],
    "trace_id": "2" * 32, "span_id": "3" * 16, **CLOCK,
}  # fmt: skip
CALL_ROW = {
    **GATEWAY_COLUMNS,
    "call_id": "c1", "trace_id": TRACE_ID, "span_id": SERVER_SPAN_ID, "parent_span_id": "",
    "tenant": "acme", "tier": "gold", "arrival": wall(0), "first_content": wall(12),
    "last_content": wall(47), "finished": wall(50), "method": "POST",
    "route": "/v1/chat/completions", "operation": "chat", "model": "tiny",
    "outcome": "finished", "status_code": 200, "error_class": "", "stream": True, "samples": 2,
    "chunks": 5, "inter_chunk_us": [8_000, 9_000, 10_000, 8_500], "prompt_tokens": None,
    "cached_tokens": None, "output_tokens": None, "attempts": 2, "response_id": "chatcmpl-1",
    "request_bytes": 321, "response_bytes": 1_234, **CLOCK,
}  # fmt: skip
ATTEMPT_ROW = {
    **GATEWAY_COLUMNS,
    "call_id": "c1", "trace_id": TRACE_ID, "span_id": ATTEMPT_SPAN_ID, "attempt": 2,
    "upstream": "engine-a", "started": wall(1), "first_byte": wall(11), "finished": wall(49),
    "outcome": "finished", "status_code": 200, "error_class": "", "breaker": "closed",
    "backoff_ns": 5_000, **CLOCK,
}  # fmt: skip
KERNEL_ROWS = [
    {
        **ENGINE_COLUMNS, "dp_rank": 3, "step_seq": 1, "source": "cpu", "device": "cpu:0",
        "name": name, "start": wall(3.5) + offset, "duration_ns": duration, **CLOCK,
    }
    for name, offset, duration in (
        ("gemm", 0, 1_500), ("attention", 2_000, 2_500), ("gemm", 5_000, 700),
    )
]  # fmt: skip
STEP_KERNELS_ROW = {
    **ENGINE_COLUMNS, **MODEL_COLUMNS, **GPU, "step_seq": 1, "start": wall(3.5), "span_ns": 90,
    "busy_ns": 60, "launch_gap_ns": 20, "wait_gap_ns": 10, "overlap_ns": 5,
    "class": ["gemm", "collective"], "kernels": [2, 1], "kernel_ns": [40, 25], "incomplete": True,
    "busy_bound": True,
    **CLOCK,
}  # fmt: skip
TOTALS_ROWS = [
    {
        **ENGINE_COLUMNS, **MODEL_COLUMNS, **GPU, "time": wall(0), "name": name, "class": kind,
        "kernels": count, "total_ns": total, "min_ns": low, "max_ns": high,
    }
    for name, kind, count, total, low, high in (
        ("a_gemm", "gemm", 3, 30, 9, 12), ("b", "other", 1, 7, 7, 7),
    )
]  # fmt: skip
NAMES_ROWS = [
    {
        **ENGINE_COLUMNS, "dp_rank": 3, **GPU, "step_seq": 1, "kept": "slow", "start": start,
        "name": name, "class": kind, "kernels": count, "total_ns": total, "max_ns": high, **CLOCK,
    }
    for name, kind, start, count, total, high in (
        ("a_gemm", "gemm", wall(4), 3, 30, 12), ("b", "other", wall(5), 1, 7, 7),
    )
]  # fmt: skip
EVENT_ROW = {
    **ENGINE_COLUMNS,
    "kind": "engine", "event": "died", "time": wall(10), "steps_in_flight": [4, 5],
    "requests_in_flight": ["req-1"], "lost_records": 6,
    "devices": ["GPU-1", "GPU-2"], "ranks": 4, **CLOCK,
}  # fmt: skip
ROWS: dict[str, list[dict[str, Any]]] = {
    "llm_gateway_calls": [CALL_ROW],
    "llm_attempts": [ATTEMPT_ROW],
    "llm_requests": [REQUEST_ROW],
    "llm_steps": [STEP_ROW],
    "llm_kernels": KERNEL_ROWS,
    "llm_engine_events": [EVENT_ROW],
    "llm_step_kernels": [STEP_KERNELS_ROW],
    "llm_kernels_10s": TOTALS_ROWS,
    "llm_step_kernel_names": NAMES_ROWS,
}


def _wide(name: str) -> Callable[[Any], Joined]:
    """A fact with a number that no column holds."""
    return lambda fact: msgspec.structs.replace(fact, **{name: -1})


BAD: dict[type[Joined], Callable[[Any], Joined]] = {
    JoinedCall: lambda fact: msgspec.structs.replace(
        fact, call=msgspec.structs.replace(fact.call, chunks=-1)
    ),
    JoinedAttempt: lambda fact: msgspec.structs.replace(
        fact, attempt=msgspec.structs.replace(fact.attempt, backoff_ns=-1)
    ),
    JoinedRequest: lambda fact: msgspec.structs.replace(
        fact, arrived=msgspec.structs.replace(fact.arrived, prompt_tokens=-1)
    ),
    JoinedStep: lambda fact: msgspec.structs.replace(
        fact, scheduled=msgspec.structs.replace(fact.scheduled, running=-1)
    ),
    JoinedKernels: lambda fact: msgspec.structs.replace(
        fact, kernels=msgspec.structs.replace(fact.kernels, seq=-1)
    ),
    ProducerEvent: _wide("lost_records"),
    StepKernelSums: _wide("span_ns"),
    KernelTotals: _wide("rank"),
    StepKernelNames: _wide("rank"),
}


def decoded(block: Block) -> list[dict[str, Any]]:
    """A block's rows, times as nanoseconds since the epoch."""
    table = pa.ipc.open_stream(block.body).read_all()
    for number, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(number, field.name, table.column(number).cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_every_table_has_a_row() -> None:
    """The facts above reach every fact table that has facts yet."""
    assert set(ROWS) == {table.name for table in WRITTEN}


def test_blocks() -> None:
    """Facts become these rows and no others."""
    blocks = encode_blocks(FACTS)
    assert {block.table.name: decoded(block) for block in blocks} == ROWS
    assert {block.table.name: block.rows for block in blocks} == {
        name: len(rows) for name, rows in ROWS.items()
    }


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_a_bad_fact_costs_itself_alone(fact: Joined, swallowed: Swallowed) -> None:
    """Of whatever kind it is: its table keeps the others' rows, and it is counted."""
    bad = BAD[type(fact)](fact)
    [whole] = [block for block in encode_blocks([fact]) if block.table is not Tables.PRODUCERS]
    (block, *_), lost = salvage_blocks(by_kind([fact, bad, fact]))
    assert block.table is whole.table
    assert block.rows == 2 * whole.rows
    assert lost == {whole.table.name: 1}
    assert {place for place, _ in swallowed} == {f"rows.{whole.table.name}"}
    swallowed.clear()


def test_a_step_of_which_members_are_missing_is_left_out(swallowed: Swallowed) -> None:
    """Its own sums would be wrong, and those of all steps after it."""
    short, long = (
        msgspec.structs.replace(
            STEP, scheduled=msgspec.structs.replace(STEP.scheduled, tokens=tokens)
        )
        for tokens in ([1], [1, 2, 3])
    )
    [block], lost = salvage_blocks(by_kind([short, STEP, long]))
    assert [block] == encode_blocks([STEP])
    assert lost == {"llm_steps": 2}
    swallowed.clear()


def test_nothing_is_left_of_a_kind(swallowed: Swallowed) -> None:
    """Bad facts alone make no block."""
    bad = BAD[JoinedRequest](REQUEST)
    assert salvage_blocks(by_kind([bad, bad])) == ([], {"llm_requests": 2})
    swallowed.clear()


def test_salvage_is_encoding_where_nothing_is_bad() -> None:
    """The same blocks, byte for byte, so that one that is sent again is the same."""
    assert salvage_blocks(by_kind(FACTS)) == (encode_blocks(FACTS), {})


def test_an_import_has_an_identity() -> None:
    """An import's facts find their row of `llm_producers` as an engine's do."""
    births = [ProducerEvent(ENGINE, anchor(), name, at(1)) for name in ("started", "importing")]
    counts = {block.table.name: block.rows for block in encode_blocks(births)}
    assert counts == {"llm_engine_events": 2, "llm_producers": 2}


def test_every_row_leads_to_an_identity() -> None:
    """By the process that wrote it, or by the device and host that it is of."""
    for table in ALL_TABLES:
        names = set(table.column_names)
        assert "instance_id" in names or {"host", "device", "mig"} <= names, table.name
    assert {"instance_id", "k8s_pod"} <= set(Tables.PRODUCERS.column_names)
    assert {"host", "device", "mig", "k8s_node"} <= set(Tables.GPU_DEVICES.column_names)


@pytest.mark.parametrize("table", WRITTEN, ids=lambda table: table.name)
def test_schema_is_that_of_the_conventions(table: Table) -> None:
    """Every column that a writer sends is sent, in order, and nullable where it may be."""
    [block] = [block for block in encode_blocks(FACTS) if block.table is table]
    sent = pa.ipc.open_stream(block.body).schema
    assert sent == arrow_schema(table)
    assert [(field.name, field.nullable) for field in sent] == [
        (column.name, "Nullable" in column.type) for column in table.sent_columns
    ]


def test_absent_values() -> None:
    """What never happened is null or empty, not zero."""
    bare = msgspec.structs.replace(
        REQUEST,
        arrived=arrived(max_tokens=None, model=""),
        finished=finished(
            queued_ns=None, scheduled_ns=None, first_token_ns=None, first_output_ns=None,
            last_token_ns=None, outcome="failed", error_type="oom",
        ),
        outcome="failed",
        incomplete=True,
        delivered_tokens=None,
    )  # fmt: skip
    step = msgspec.structs.replace(STEP, status="in_flight", done=None, trace=None)
    [requests, steps] = encode_blocks([bare, step])
    assert decoded(requests) == [
        {
            **REQUEST_ROW, "model": "tiny", "max_tokens": None, "queued": None, "scheduled": None,
            "first_token": None, "first_output": None, "last_token": None, "outcome": "failed",
            "error_type": "oom", "incomplete": True, "lora": "", "recomputed_tokens": 0,
            "rejected_tokens": 0, "discarded_tokens": 0, "unscheduled_tokens": 0,
            "delivered_tokens": None,
        }
    ]  # fmt: skip
    assert decoded(steps) == [
        {
            **STEP_ROW, "status": "in_flight", "result": None, "execute_ns": None, "emitted": [],
            "accepted": [], "cudagraph_mode": "", "trace_id": "", "span_id": "",
        }
    ]  # fmt: skip


def test_same_facts_same_bytes() -> None:
    """Encoding is deterministic, so that a block made again is the same block."""
    assert encode_blocks(FACTS) == encode_blocks(FACTS)


def test_nothing() -> None:
    """No facts, no blocks."""
    assert encode_blocks([]) == []


def test_the_largest_clock_error_fits() -> None:
    """An error bound beyond its column is the largest that fits."""
    wide = msgspec.structs.replace(REQUEST, anchor=anchor(error_ns=1 << 40))
    [block] = encode_blocks([wide])
    assert decoded(block)[0]["clock_error_ns"] == (1 << 32) - 1


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of an embedded store that holds every fact, each block inserted twice."""
    with opened(tmp_path_factory.mktemp("data")) as engine, closing(engine.client()) as client:
        for block in encode_blocks(FACTS):
            for _ in range(2):
                token = f"token-{block.table.name}"
                insert_arrow_block(client, block.table.name, block.body, token)
        yield client


@pytest.mark.parametrize("table", WRITTEN, ids=lambda table: table.name)
def test_round_trip(stored: Any, table: Table) -> None:  # noqa: ANN401  an untyped client
    """ClickHouse gives back what was sent, once, though it was sent twice."""
    columns = [
        f"toUnixTimestamp64Nano({column.name})" if "DateTime64" in column.type else column.name
        for column in table.sent_columns
    ]
    order = "start" if table is Tables.KERNELS else columns[0]
    found: Sequence[Sequence[Any]] = stored.query(
        f"SELECT {', '.join(columns)} FROM {table.name} ORDER BY {order}"
    ).result_rows
    names = [column.name for column in table.sent_columns]
    assert [dict(zip(names, row, strict=True)) for row in found] == ROWS[table.name]


def test_the_store_fills_its_own_columns(stored: Any) -> None:  # noqa: ANN401
    """A column that is not sent gets its default: when the store took the row."""
    [[inserted]] = stored.query("SELECT inserted FROM llm_requests").result_rows
    age = dt.datetime.now(dt.timezone.utc) - inserted.replace(tzinfo=dt.timezone.utc)
    assert dt.timedelta(0) <= age < dt.timedelta(minutes=5)


def test_tokens_of_steps_by_phase() -> None:
    """Each step has its own sums: with members of both phases, of one, or with none at all."""
    batches = [[], [(0, 7), (1, 1), (0, 5)], [], [(1, 1), (1, 3)], []]
    steps = [
        msgspec.structs.replace(
            STEP,
            scheduled=msgspec.structs.replace(
                scheduled(1, 3, ()),
                request_index=list(range(len(batch))), context=[0] * len(batch),
                phase=bytes(phase for phase, _ in batch), tokens=[tokens for _, tokens in batch],
            ),
        )
        for batch in batches
    ]  # fmt: skip
    [block] = encode_blocks(steps)
    sums = [(row["prefill_tokens"], row["decode_tokens"]) for row in decoded(block)]
    assert sums == [(0, 0), (12, 1), (0, 0), (0, 4), (0, 0)]
    assert [row["tokens"] for row in decoded(block)] == [[], [7, 1, 5], [], [1, 3], []]


def test_what_facts_share_is_told_of_each() -> None:
    """Facts of several processes and clocks, some of which have the same host, keep their own."""
    other = msgspec.structs.replace(ENGINE, instance_id="f" * 32, dp_rank=5)
    late = msgspec.structs.replace(anchor(), wall_ns=anchor().wall_ns + 7)
    facts = [
        REQUEST,
        msgspec.structs.replace(REQUEST, producer=other),
        msgspec.structs.replace(REQUEST, anchor=late),
    ]
    [block] = encode_blocks(facts)
    assert decoded(block) == [
        REQUEST_ROW,
        {**REQUEST_ROW, "instance_id": "f" * 32, "dp_rank": 5},
        {
            **REQUEST_ROW,
            **{
                name: REQUEST_ROW[name] + 7  # type: ignore[operator]
                for name in (
                    "arrival", "queued", "scheduled", "first_token", "first_output", "last_token",
                    "finished", "clock_offset_ns",
                )
            },
        },
    ]  # fmt: skip
