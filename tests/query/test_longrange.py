"""Questions to the rollups, on rows that can be added up by hand."""

import json
from typing import TYPE_CHECKING

import pytest

from otel_llm.clock import EpochNs
from otel_llm.query import longrange
from otel_llm.query.window import Window
from tests.query.joules import amount
from tests.query.sample import BASE_NS, call, request

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DAY_MS = 86_400_000.0
THAT_DAY = -2 * DAY_MS
THEN = Window(since_ns=EpochNs(BASE_NS - 2 * 86_400 * 10**9),
              until_ns=EpochNs(BASE_NS - 2 * 86_400 * 10**9 + 3_600 * 10**9))  # fmt: skip
"""An hour in which the sample has nothing else."""

INSTANCE = "d" * 32
OUTCOMES = {"finished": 4, "failed": 2, "gateway_died": 3, "shed": 5, "cancelled": 1}


@pytest.fixture(scope="module", autouse=True)
def _rows(store: "Client") -> None:
    outcomes = [outcome for outcome, count in OUTCOMES.items() for _ in range(count)]
    calls = [
        call(f"far{n}", THAT_DAY + n * 1000, THAT_DAY + n * 1000 + 500, outcome=outcome,
             model="far", attempts=2, prompt_tokens=10, cached_tokens=4, output_tokens=3)
        for n, outcome in enumerate(outcomes)
    ]  # fmt: skip
    moments = tuple(THAT_DAY + after for after in (0, 0, 10, 50, 60, 250, 260))
    requests = [
        request(f"far{n}", 1, n, moments, instance_id=INSTANCE, service="svc", model="far",
                prompt_tokens=100, output_tokens=11, cached_tokens=50, incomplete=n == 0)
        for n in (0, 1)
    ]  # fmt: skip
    ended = moments[-1]
    energy = [
        amount(INSTANCE, 0, ended, 1000, 3000, model="far"),
        amount(INSTANCE, 0, ended, 0, 500, model="far", device="GPU-b"),
        amount(INSTANCE, 1, ended, 200, 300, model="far"),
    ]
    rows = {"llm_gateway_calls": calls, "llm_requests": requests, "llm_request_energy": energy}
    for table, lines in rows.items():
        body = "\n".join(json.dumps(line) for line in lines)
        store.raw_insert(table, insert_block=body.encode(), fmt="JSONEachRow")


def test_traffic_counts_calls_by_how_they_ended(store: "Client") -> None:
    """A call of a gateway that died has failed; each outcome is counted as itself alone."""
    [row] = longrange.traffic(store, THEN)
    assert (row.model, row.calls, row.finished, row.failed) == ("far", 15, 4, 5)
    assert (row.shed, row.cancelled, row.attempts) == (5, 1, 30)
    assert (row.prompt_tokens, row.cached_tokens, row.output_tokens) == (150, 60, 45)


def test_usage_adds_up_the_energy_of_requests(store: "Client") -> None:
    """In joules, of all devices and both phases, though it came apart from the requests."""
    [row] = longrange.usage(store, THEN)
    assert (row.model, row.requests, row.incomplete) == ("far", 2, 1)
    assert (row.prompt_tokens, row.cached_tokens, row.output_tokens) == (200, 100, 22)
    assert row.energy_j == pytest.approx(5.0)
