"""Who shared steps with a request."""

import json
from typing import TYPE_CHECKING

import pytest

from otel_llm.query.neighbours import Neighbours, neighbours
from tests.query.sample import BASE_NS, request, step

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

HOUR_MS = 3_600_000.0
HERE, ELSEWHERE = "33" * 16, "44" * 16
WHICH: dict[str, object] = {
    "instance": HERE, "dp_rank": 0, "indexes": [5], "from_ns": BASE_NS,
    "to_ns": BASE_NS + 1_000_000_000,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _shared(store: "Client") -> None:
    """Two steps of request 5: with 3, 4 and 7, with 4 and 8. One without it: with 9."""
    batches = ([3, 4, 5, 7], [4, 5, 8], [9])
    steps = [
        step("a1" * 16, n + 1, 10 * n, 10 * n + 5, [(member, 1, 1, 10) for member in batch])
        | {"instance_id": HERE}
        for n, batch in enumerate(batches)
    ]
    came = {3: -3 * HOUR_MS, 4: -HOUR_MS, 5: 0.0, 6: 0.0, 7: 0.0, 9: 0.0}
    requests = [
        request(f"n{index}", 1, index, [at] * 7, instance_id=instance, tenant=tenant)
        for instance, tenant in ((HERE, "acme"), (ELSEWHERE, "globex"))
        for index, at in came.items()
    ]
    for table, rows in (("llm_steps", steps), ("llm_requests", requests)):
        body = "\n".join(json.dumps(row) for row in rows)
        store.raw_insert(table, insert_block=body.encode(), fmt="JSONEachRow")


def test_others_are_counted_by_tenant(store: "Client") -> None:
    """4 and 7 have a row; 8 has none, and 3 began too long before. 6 and 9 shared no step."""
    named = [Neighbours(tenant="", requests=2), Neighbours(tenant="acme", requests=2)]
    assert neighbours(store, WHICH, "") == named


def test_a_tenant_learns_a_number(store: "Client") -> None:
    """Not whose they were."""
    assert neighbours(store, WHICH, "acme") == [Neighbours(tenant=None, requests=4)]


def test_a_request_alone_has_none(store: "Client") -> None:
    """Nobody shared its step."""
    assert neighbours(store, {**WHICH, "indexes": [9]}, "") == []
