"""Reads back what a run left in ClickHouse and on the agent's page, and judges it."""

import importlib.resources
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec
from clickhouse_connect.driver.client import Client
from prometheus_client.parser import text_string_to_metric_families

from otel_llm.conventions import Metrics
from otel_llm.demo.client import Seen
from otel_llm.demo.complete import CallFacts, Row, Span, outcome, problems


class Verdict(msgspec.Struct, frozen=True):
    """The judgement of a run; the demo's JSON line.

    Attributes:
        requests: calls made by the clients.
        complete: of these, how many left all they owe (`docs/completeness.md`).
        by_outcome: calls by outcome.
        steps, kernels: rows of the engines' steps and kernels.
        kernel_sources: who measured the kernels; see `KernelSource`.
        prompt_tokens, output_tokens: sums over the engines' requests.
        lost_records: facts the agent counts as lost, for any reason.
        ttft_caller_p50_s: median of finished streams, in seconds.
        ttft_engine_p50_s: median of finished requests, in seconds.
        finish_to_row_p95_s: from a request's end to its row in the store, in seconds.
        energy_windows: lines of the ledger of devices.
        energy_j: drawn by devices, in joules: attributed, idle and unattributed.
        energy_attributed_j, energy_idle_j, energy_unattributed_j: parts of it.
        energy_residual_mj: attributed less what stands in the rows of requests, in millijoules.
        problems: what is wrong, by trace id, or by table for rows that stand twice or are missing.
            Not empty means the run failed.
    """

    requests: int
    complete: int
    by_outcome: dict[str, int]
    steps: int
    kernels: int
    kernel_sources: list[str]
    prompt_tokens: int
    output_tokens: int
    lost_records: int
    ttft_caller_p50_s: float | None
    ttft_engine_p50_s: float | None
    finish_to_row_p95_s: float | None
    energy_windows: int
    energy_j: float
    energy_attributed_j: float
    energy_idle_j: float
    energy_unattributed_j: float
    energy_residual_mj: int
    problems: dict[str, list[str]]

    @property
    def passed(self) -> bool:
        """Every call is complete, and nothing was lost or stands twice."""
        return not self.problems and self.complete == self.requests and self.lost_records == 0


def rows(client: Client, name: str) -> list[Row]:
    """Run one of `otel_llm/demo/sql` and return its rows."""
    sql = (importlib.resources.files("otel_llm.demo") / "sql" / f"{name}.sql").read_text("utf-8")
    return [dict(row) for row in client.query(sql).named_results()]


def collect(client: Client) -> dict[str, list[CallFacts]]:
    """All facts about calls, by trace id."""
    attempts, requests, spans = (_by_trace(rows(client, n)) for n in _PARTS)
    calls: dict[str, list[CallFacts]] = defaultdict(list)
    for call in rows(client, "calls"):
        trace = call["trace_id"]
        calls[trace].append(
            CallFacts(
                call,
                attempts[trace],
                requests[trace],
                {s["span_id"]: Span(s["name"], s["parent_span_id"]) for s in spans[trace]},
            )
        )
    return calls


_PARTS = ("attempts", "requests", "spans")


def _by_trace(found: Sequence[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in found:
        grouped[row["trace_id"]].append(row)
    return grouped


def judge(client: Client, seen: Sequence[Seen], lost_records: int) -> Verdict:
    """Compare what the clients saw with what stands in the store."""
    facts = collect(client)
    by_outcome: Counter[str] = Counter()
    found: dict[str, list[str]] = {}
    for one in seen:
        [*rest] = facts.get(one.trace_id, ())
        if len(rest) != 1:
            by_outcome["missing" if not rest else "doubled"] += 1
            found[one.trace_id] = [f"{len(rest)} rows of the call ({one.ended} for its client)"]
            continue
        by_outcome[outcome(rest[0])] += 1
        if wrong := problems(rest[0], one):
            found[one.trace_id] = wrong
    complete = len(seen) - len(found)
    for row in rows(client, "doubled"):
        found[row["what"]] = [f"{row['wrong']} rows too many, or missing"]
    for row in rows(client, "energy_wrong"):
        found["energy"] = [*found.get("energy", []), f"{row['wrong']} {row['what']}"]
    [totals], [energy] = rows(client, "totals"), rows(client, "energy")
    return Verdict(
        requests=len(seen),
        complete=complete,
        by_outcome=dict(sorted(by_outcome.items())),
        lost_records=lost_records,
        problems=found,
        **totals,
        **energy,
    )


def lost_records(metrics_page: str) -> int:
    """Sum of the agent's counter of lost facts over all reasons.

    Raises:
        ValueError: the page has no such counter, so nothing can be said.
    """
    samples = [
        sample.value
        for family in text_string_to_metric_families(metrics_page)
        for sample in family.samples
        if sample.name == Metrics.LOST_RECORDS.name
    ]
    if not samples:
        message = f"{Metrics.LOST_RECORDS.name} is not on the agent's page"
        raise ValueError(message)
    return int(sum(samples))


def fetch_metrics(agent_url: str) -> str:
    """The agent's Prometheus page."""
    response = httpx.get(f"{agent_url}/metrics", timeout=10.0)
    response.raise_for_status()
    return response.text


def settled(client: Client, seen: Sequence[Seen]) -> bool:
    """Whether the rows and spans of every call have arrived, its requests' included."""
    traces: dict[str, Any] = {"traces": [one.trace_id for one in seen]}
    [[calls, server_spans, owing]] = client.query(_SETTLED, parameters=traces).result_rows
    [energy] = rows(client, "energy")
    closed = energy["energy_residual_mj"] == 0
    return bool(closed and calls >= len(seen) and server_spans >= len(seen) and not owing)


_SETTLED = """
SELECT
    (SELECT uniqExact(trace_id) FROM llm_gateway_calls
     WHERE trace_id IN {traces:Array(String)}),
    (SELECT uniqExact(t.TraceId) FROM otel_traces AS t
     INNER JOIN llm_gateway_calls AS c ON c.span_id = t.SpanId AND c.trace_id = t.TraceId
     WHERE t.TraceId IN {traces:Array(String)}),
    (SELECT count() FROM llm_attempts WHERE status_code = 200 AND span_id NOT IN
     (SELECT r.parent_span_id FROM llm_requests AS r
      INNER JOIN otel_traces AS t ON t.SpanId = r.span_id))
"""
