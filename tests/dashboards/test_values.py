"""What statements of boards tell, reckoned again in Python from the rows they are about."""

import statistics
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.dashboards import macros
from otel_llm.dashboards.queries import sql
from tests.dashboards.test_asked import CHOSEN, LOOKED_AT, rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

RANGE_S = (LOOKED_AT.to_ms - LOOKED_AT.from_ms) / 1000
_LEDGER = """
INSERT INTO gpu_energy_ledger (host, device, started, ended, delta_mj, attributed_mj, idle_mj,
    unattributed_mj, error_mj)
SELECT 'node', 'GPU-0', finished, finished + INTERVAL 1 SECOND, 600 + request_index,
    100 + request_index, 300, 200, 7
FROM llm_requests"""
_KERNELS = """
INSERT INTO llm_step_kernels (instance_id, service, step_seq, start, span_ns, busy_ns,
    launch_gap_ns, wait_gap_ns, overlap_ns)
SELECT instance_id, service, 900000 + seq, scheduled, 1000, 700, 200, 100, 50 FROM llm_steps"""
_KERNEL_SUMS = """
INSERT INTO llm_kernels_10s (instance_id, service, time, name, class, kernels, total_ns)
SELECT instance_id, service, toStartOfInterval(scheduled, INTERVAL 10 SECOND), 'k', 'test', 1,
    5000000
FROM llm_steps"""


@pytest.fixture(autouse=True, scope="module")
def _more(store: "Client") -> None:
    """Rows of tables that the sample leaves empty."""
    for statement in (_LEDGER, _KERNELS, _KERNEL_SUMS):
        store.command(statement)


def told(store: "Client", name: str, **fixed: str | int) -> list[dict[str, Any]]:
    """A board's statement over the whole time range."""
    text = macros.sql(sql.table(name, **fixed).text, LOOKED_AT, CHOSEN)
    return [dict(row) for row in store.query(text).named_results()]


def facts(store: "Client", table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    return [dict(row) for row in store.query(f"SELECT * FROM {table}").named_results()]


def seconds(row: dict[str, Any], begin: str, end: str) -> float:
    """From one moment of a row to another."""
    return float((row[end] - row[begin]).total_seconds())


@pytest.mark.parametrize("by", ["tenant", "model", "outcome", "route", "status"])
def test_calls_by_part(store: "Client", by: str) -> None:
    """Every call is in one part, with how it ended and how long it took."""
    column = {"status": "status_code"}.get(by, by)
    parts = defaultdict(list)
    for call in facts(store, "llm_gateway_calls"):
        parts["none" if call[column] is None else str(call[column])].append(call)
    found = {row["part"]: row for row in told(store, "callers", by=by)}
    assert set(found) == set(parts)
    for part, calls in parts.items():
        row, ended = found[part], Counter(call["outcome"] for call in calls)
        assert row["calls"] == len(calls)
        assert row["calls_per_s"] == pytest.approx(len(calls) / RANGE_S)
        assert row["failed"] == ended["failed"] + ended["gateway_died"]
        assert row["shed"] == ended["shed"]
        assert row["attempts_per_call"] == pytest.approx(
            statistics.mean(call["attempts"] for call in calls)
        )
        tokens = sum(call["output_tokens"] or 0 for call in calls)
        assert row["output_tokens_per_s"] == pytest.approx(tokens / RANGE_S)
        waited = [seconds(c, "arrival", "first_content") for c in calls if c["first_content"]]
        if waited:  # quantiles of BFloat16 are good to a 256th
            assert min(waited) * 0.99 <= row["ttft_p50_s"] <= row["ttft_p95_s"]
            assert row["ttft_p99_s"] == pytest.approx(max(waited), rel=0.02)


def test_errors_by_class(store: "Client") -> None:
    """Each class with its calls; callers that gave up made no error."""
    wanted = Counter(
        call["error_class"] for call in facts(store, "llm_gateway_calls")
        if call["error_class"] and call["outcome"] != "cancelled"
    )  # fmt: skip
    assert wanted
    assert {row["error_class"]: row["calls"] for row in told(store, "error_classes")} == wanted


def test_the_same_requests_seen_twice(store: "Client") -> None:
    """TTFT from both ends of the calls that an engine answered, and the difference."""
    engine: dict[str, float] = {}
    for request in facts(store, "llm_requests"):
        if request["first_output"]:
            ttft = seconds(request, "arrival", "first_output")
            engine[request["trace_id"]] = min(ttft, engine.get(request["trace_id"], ttft))
    pairs = [
        (seconds(call, "arrival", "first_content"), engine[call["trace_id"]])
        for call in facts(store, "llm_gateway_calls")
        if call["first_content"] and call["trace_id"] in engine
    ]
    [row] = told(store, "seen_twice")
    assert row["calls"] == len(pairs) > 0
    for name, values in {
        "caller": [one for one, _ in pairs],
        "engine": [other for _, other in pairs],
        "between": [one - other for one, other in pairs],
    }.items():
        assert row[f"{name}_p50_s"] == pytest.approx(statistics.median(values), abs=1e-5)
        assert row[f"{name}_p50_s"] <= row[f"{name}_p95_s"] <= max(values) + 1e-5


def test_lag_is_from_the_end_to_the_insert(store: "Client") -> None:
    """The median and the 95th percentile are what the rows say."""
    requests = facts(store, "llm_requests")
    lags = sorted(seconds(request, "finished", "inserted") for request in requests)
    [row] = told(store, "lag")
    assert row["requests"] == len(lags)
    assert row["incomplete"] == sum(request["incomplete"] for request in requests)
    assert row["lag_p50_s"] == pytest.approx(statistics.median(lags), abs=1e-3)
    upper = statistics.quantiles(lags, n=20, method="inclusive")[-1]
    assert row["lag_p95_s"] == pytest.approx(upper, abs=1e-3)


def test_work_of_steps(store: "Client") -> None:
    """Means by service: tokens, batch, queue and cache."""
    steps = defaultdict(list)
    for step in facts(store, "llm_steps"):
        steps[step["service"]].append(step)
    found = {row["service"]: row for row in told(store, "step_work")}
    assert set(found) == set(steps) != set()
    for service, each in steps.items():
        row = found[service]
        assert row["steps"] == len(each)
        assert row["batch_max"] == max(len(step["request_index"]) for step in each)
        for name, values in {
            "prefill_per_step": [step["prefill_tokens"] for step in each],
            "decode_per_step": [step["decode_tokens"] for step in each],
            "batch_mean": [len(step["request_index"]) for step in each],
            "waiting_mean": [step["waiting"] for step in each],
            "running_mean": [step["running"] for step in each],
        }.items():
            assert row[name] == pytest.approx(statistics.mean(values)), name
        total = sum(step["kv_total"] for step in each)
        used = sum(step["kv_used"] for step in each)
        assert row["kv_ratio"] == (pytest.approx(used / total) if total else None)


@pytest.mark.parametrize("order", ["slow", "dear", "failed"])
def test_few_listed_calls_are_the_first_of_all(store: "Client", order: str) -> None:
    """Which calls are joined is chosen before; that changes neither which are told nor what."""
    listed = told(store, "listed_calls", order=order)
    assert len(listed) > 2
    for few in (1, 2, len(listed) - 1):
        assert told(store, "listed_calls", order=order, limit=few) == listed[:few]
    if order == "slow":
        assert [row["e2e_s"] for row in listed] == sorted(
            (seconds(call, "arrival", "finished") for call in facts(store, "llm_gateway_calls")),
            reverse=True,
        )


def test_the_ledger_adds_up(store: "Client") -> None:
    """Drawn is what was attributed, idle and unattributed; each is the sum of its column."""
    lines = facts(store, "gpu_energy_ledger")
    assert lines
    [row] = told(store, "ledger")
    for name, column in {
        "drawn": "delta", "attributed": "attributed", "idle": "idle",
        "unattributed": "unattributed", "error": "error",
    }.items():  # fmt: skip
        assert row[f"{name}_j"] == pytest.approx(sum(line[f"{column}_mj"] for line in lines) / 1000)
    for name in ("attributed", "idle", "unattributed"):
        assert row[f"{name}_w"] == pytest.approx(row[f"{name}_j"] / RANGE_S)
    assert row["idle_ratio"] == pytest.approx(row["idle_j"] / row["drawn_j"])


def test_shares_of_device_time(store: "Client") -> None:
    """Busy, gaps and overlap over the span of the steps."""
    for row in told(store, "gaps"):
        mine = [one for one in facts(store, "llm_step_kernels") if one["service"] == row["service"]]
        span = sum(one["span_ns"] for one in mine)
        for name in ("busy", "launch_gap", "wait_gap", "overlap"):
            share = sum(one[f"{name}_ns"] for one in mine) / span
            assert row[f"{name}_ratio"] == pytest.approx(share), name


def test_kernel_time_over_time(store: "Client") -> None:
    """Seconds of kernels per second of each stretch of ten."""
    text = sql.series("kernel_series", "kind, busy").text
    rows = store.query(macros.sql(text, LOOKED_AT, CHOSEN)).result_rows
    of_test = sum(busy for _, kind, busy in rows if kind == "test") * LOOKED_AT.interval_s
    known = [one for one in facts(store, "llm_kernels_10s") if one["class"] == "test"]
    assert of_test == pytest.approx(sum(one["total_ns"] for one in known) / 1e9) != 0


def test_the_graph_counts_what_went_each_way(store: "Client") -> None:
    """Nodes have all calls, tries and requests; arcs are shares that make a whole."""
    nodes = {row["id"]: row for row in told(store, "graph_nodes")}
    calls = facts(store, "llm_gateway_calls")
    for kind, column, table, noun in (
        ("gateway", "service", "llm_gateway_calls", "calls"),
        ("upstream", "upstream", "llm_attempts", "attempts"),
        ("engine", "service", "llm_requests", "requests"),
    ):
        for name, count in Counter(row[column] for row in facts(store, table)).items():
            assert nodes[f"{kind} {name}"]["mainstat"] == f"{count} {noun}"
    bad = sum(call["outcome"] in ("failed", "gateway_died", "shed") for call in calls)
    [gateway] = [row for row in nodes.values() if row["subtitle"] == "gateway"]
    assert gateway["arc__bad"] == pytest.approx(bad / len(calls))
    assert all(row["arc__good"] + row["arc__bad"] == pytest.approx(1) for row in nodes.values())
    for edge in told(store, "graph_edges"):
        assert {edge["source"], edge["target"]} <= set(nodes)


def test_who_ended_before_is_not_told_to_have_run(store: "Client") -> None:
    """A process that died before the time range is left out; one that died in it ran."""
    for name, died_ms in (("before", LOOKED_AT.from_ms - 1000), ("within", LOOKED_AT.to_ms - 1)):
        store.command(
            "INSERT INTO llm_producers (instance_id, service, kind, time) "
            f"SELECT '{name}', '{name}', 'engine', fromUnixTimestamp64Milli({died_ms - 9000})"
        )
        store.command(
            "INSERT INTO llm_engine_events (instance_id, service, kind, event, time) "
            f"SELECT '{name}', '{name}', 'engine', 'died', fromUnixTimestamp64Milli({died_ms})"
        )
    ran = {row["service"] for row in told(store, "producers")}
    assert "within" in ran
    assert "before" not in ran


def test_steps_of_a_trace_begin_at_nought(store: "Client") -> None:
    """They have an axis of their own: on the board's hour, two seconds would be one line."""
    longest = max(facts(store, "llm_requests"), key=lambda one: one["finished"] - one["arrival"])
    for title in ("Its steps", "Time of its steps"):
        times = [row["at_s"] for row in rows(store, "trace", title, trace=longest["trace_id"])]
        assert times[0] == 0
        assert times == sorted(times)
        assert times[-1] > 0
