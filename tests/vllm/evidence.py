"""What stands in the store after a run, and what vLLM says of the same run."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import httpx
from clickhouse_connect.driver.client import Client
from prometheus_client.parser import text_string_to_metric_families

from otel_llm.conventions import Metrics
from otel_llm.demo import evidence
from otel_llm.demo.client import Seen
from tests.stack.harness import store, wait_for
from tests.vllm.harness import Site
from tests.vllm.load import drive, mixed

Row = dict[str, Any]

# One side are the rows of the steps, the other the terms of the request: nothing is shared.
_ACCOUNTS = """
SELECT
    r.instance_id AS instance_id, r.request_index AS request_index, r.request_id AS request_id,
    r.trace_id AS trace_id, r.api_request_id AS api_request_id, r.parent_span_id AS parent_span_id,
    r.tenant AS tenant, r.tier AS tier, r.operation AS operation, r.model AS model, r.lora AS lora,
    r.outcome AS outcome, r.finish_reason AS finish_reason, r.incomplete AS incomplete,
    r.sample_index AS sample_index, r.sample_count AS sample_count, r.preemptions AS preemptions,
    toInt64(r.prompt_tokens) AS prompt, toInt64(r.cached_tokens) AS cached,
    toInt64(r.output_tokens) AS output, toInt64(r.recomputed_tokens) AS recomputed,
    toInt64(r.rejected_tokens) AS rejected, toInt64(r.discarded_tokens) AS discarded,
    toInt64(r.unscheduled_tokens) AS unscheduled, r.delivered_tokens AS delivered,
    prompt - unscheduled - cached + greatest(output - 1, 0)
        + recomputed + rejected + discarded AS terms,
    toInt64(s.tokens) AS in_steps, s.steps AS steps, s.emitted AS emitted,
    toUnixTimestamp64Nano(r.arrival) AS arrival_ns, toUnixTimestamp64Nano(r.queued) AS queued_ns,
    toUnixTimestamp64Nano(r.scheduled) AS scheduled_ns,
    toUnixTimestamp64Nano(r.first_token) AS first_token_ns,
    toUnixTimestamp64Nano(r.first_output) AS first_output_ns,
    toUnixTimestamp64Nano(r.last_token) AS last_token_ns,
    toUnixTimestamp64Nano(r.finished) AS finished_ns
FROM llm_requests AS r
LEFT JOIN
(
    SELECT instance_id, request_index, sum(tokens) AS tokens, count() AS steps,
        sum(emitted) AS emitted
    FROM llm_step_requests GROUP BY instance_id, request_index
) AS s ON s.instance_id = r.instance_id AND s.request_index = r.request_index
ORDER BY r.arrival, r.request_id
"""

_UNRESOLVED = """
SELECT instance_id, seq, request_index FROM llm_step_requests
WHERE (instance_id, request_index) NOT IN (SELECT instance_id, request_index FROM llm_requests)
"""


def rows(client: Client, sql: str, **parameters: object) -> list[Row]:
    """The rows of a query."""
    return [dict(row) for row in client.query(sql, parameters=parameters).named_results()]


def accounts(client: Client) -> list[Row]:
    """Every request with its terms, and beside them what its steps add up to."""
    return rows(client, _ACCOUNTS)


def unresolved(client: Client) -> list[Row]:
    """Members of steps that name no request."""
    return rows(client, _UNRESOLVED)


def wrong_accounts(found: Sequence[Row]) -> list[Row]:
    """Requests whose terms are not what their steps add up to, or that are not whole."""
    return [row for row in found if row["terms"] != row["in_steps"] or row["incomplete"]]


def settle(site: Site, seen: Sequence[Seen]) -> list[Row]:
    """Wait until all facts of these calls have arrived, and return the accounts.

    A last call is sent after them: journals are read in order, so with its own last step all
    earlier ones are there.
    """
    client = store(site.stack)
    [last] = drive(site, mixed(1, 0.0), 1)

    def last_steps() -> bool:
        mine = [row for row in accounts(client) if row["trace_id"] == last.trace_id]
        return bool(mine) and all(row["emitted"] == row["output"] > 0 for row in mine)

    wait_for(last_steps, "the last call's steps in the store")
    wait_for(lambda: not open_requests(site), "no request open at the agent")
    everyone = [*seen, last]
    wait_for(lambda: evidence.settled(client, everyone), "rows and spans of each call")
    return accounts(client)


def open_requests(site: Site) -> float:
    """Requests in flight, by the agent's own page."""
    page = evidence.fetch_metrics(site.stack.agent_url)
    return sum(value for _, value in samples(page, Metrics.REQUESTS_OPEN.name))


def lost(site: Site) -> int:
    """Facts that the agent counts as lost."""
    return evidence.lost_records(evidence.fetch_metrics(site.stack.agent_url))


def swallowed_errors(site: Site) -> float:
    """Errors that the hooks kept from vLLM, by the agent's page."""
    found = samples(evidence.fetch_metrics(site.stack.agent_url), Metrics.SWALLOWED.name)
    assert found, "the agent tells nothing of swallowed errors"
    return sum(value for _, value in found)


def samples(page: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Samples of one metric on a Prometheus page: labels and value."""
    return [
        (dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name
    ]


class Counters(NamedTuple):
    """Totals of requests' tokens, and requests by the reason of their end."""

    prompt: int
    cached: int
    output: int
    by_reason: dict[str, int]


def vllm_counters(site: Site) -> Counters:
    """What vLLM itself counts, since it started."""
    page = httpx.get(f"{site.url}/metrics", timeout=10.0).raise_for_status().text

    def total(name: str) -> int:
        found = samples(page, name)
        assert found, f"{name} is not on vLLM's page"
        return int(sum(value for _, value in found))

    reasons = samples(page, "vllm:request_success_total")
    return Counters(
        prompt=total("vllm:prompt_tokens_total"),
        cached=total("vllm:prompt_tokens_cached_total"),
        output=total("vllm:generation_tokens_total"),
        by_reason={labels["finished_reason"]: int(n) for labels, n in reasons if n},
    )


def our_counters(found: Sequence[Row]) -> Counters:
    """Ours over these requests."""
    return Counters(
        prompt=sum(row["prompt"] for row in found),
        cached=sum(row["cached"] for row in found),
        output=sum(row["output"] for row in found),
        by_reason=dict(Counter(row["finish_reason"] for row in found)),
    )


def external_id(request_id: str) -> str:
    """The id under which vLLM's API server knows a sequence, from the engine's own id.

    The engine's is `[SAMPLE_]EXTERNAL-8 hex digits`.
    """
    matched = re.fullmatch(r"(?:\d+_)?(.+)-[0-9a-f]{8}", request_id)
    assert matched, request_id
    return matched[1]
