"""What the board of energy tells, reckoned again from the rows."""

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.dashboards.test_asked import rows
from tests.query.sample import ALPHA

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Request = tuple[str, int]
_CHARGED = """
INSERT INTO llm_request_energy (
    instance_id, service, host, model, request_index, trace_id, tenant, outcome, finished, device,
    energy_mj, prefill_mj, decode_mj)
SELECT
    instance_id, service, host, model, request_index, trace_id, tenant, outcome, finished,
    arrayJoin(['GPU-0', 'GPU-1']), 1000 + request_index * 7 + output_tokens * 300, 1000,
    request_index * 7 + output_tokens * 300
FROM llm_requests"""


@pytest.fixture(autouse=True, scope="module")
def _charged(store: "Client") -> None:
    """Two devices charged each request of the sample, which has no energy of its own."""
    store.command(_CHARGED)


def charged(store: "Client") -> dict[Request, tuple[str, int]]:
    """Tenant and millijoules of each request that was charged any."""
    sql = (
        "SELECT instance_id, request_index, any(tenant), sum(energy_mj) FROM llm_request_energy "
        "GROUP BY instance_id, request_index"
    )
    return {(one, index): (tenant, mj) for one, index, tenant, mj in store.query(sql).result_rows}


def tokens(store: "Client") -> dict[Request, int]:
    """Output tokens of each request."""
    sql = "SELECT instance_id, request_index, output_tokens FROM llm_requests"
    return {(one, index): count for one, index, count in store.query(sql).result_rows}


def batches(store: "Client") -> dict[Request, float]:
    """Mean batch that each request was served in."""
    seen: dict[Request, list[int]] = defaultdict(list)
    for instance, members in store.query(
        "SELECT instance_id, request_index FROM llm_steps"
    ).result_rows:
        for index in members:
            seen[instance, index].append(len(members))
    return {request: sum(sizes) / len(sizes) for request, sizes in seen.items()}


def test_tenants_get_the_joules_and_tokens_of_their_requests(store: "Client") -> None:
    """Per token and per request: a request counts once, however many devices it was charged on."""
    made, mine = tokens(store), defaultdict(list)
    for request, (tenant, mj) in charged(store).items():
        mine[tenant].append((mj, made.get(request, 0)))
    told = {row["tenant"]: row for row in rows(store, "energy", "By tenant")}
    assert set(told) == set(mine) != set()
    for tenant, each in mine.items():
        joules, count = sum(mj for mj, _ in each) / 1000, sum(count for _, count in each)
        assert told[tenant]["energy_j"] == pytest.approx(joules)
        assert told[tenant]["j_per_request"] == pytest.approx(joules / len(each))
        assert told[tenant]["j_per_token"] == (pytest.approx(joules / count) if count else None)


def test_joules_per_token_by_batch(store: "Client") -> None:
    """Requests stand under the power of two below the mean batch of their steps."""
    made, served = tokens(store), batches(store)
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for request, (_, mj) in charged(store).items():
        if request in served and request in made:
            begin = 1 << int(served[request]).bit_length() - 1
            sums[begin][0] += mj / 1000
            sums[begin][1] += made[request]
    told = {row["batch"]: row["j_per_token"] for row in
            rows(store, "energy", "Energy per token by batch size")}  # fmt: skip
    wanted = {f"from {begin}": joules / count for begin, (joules, count) in sums.items() if count}
    assert wanted
    assert {name: value for name, value in told.items() if value} == pytest.approx(wanted)


_STEP = f"""
INSERT INTO llm_step_energy (
    instance_id, step_seq, device, started, energy_mj, error_mj, method, source)
SELECT '{ALPHA}', 1, 'GPU-of-another-node', scheduled, 9700, 970, 'counter', 'nvml'
FROM llm_steps WHERE instance_id = '{ALPHA}' AND seq = 1"""


def test_devices_of_other_nodes_are_shared_by_the_members_of_a_step(store: "Client") -> None:
    """96 tokens of one tenant's prompt beside one that another decodes."""
    assert rows(store, "energy", "On devices of other nodes") == []
    store.command(_STEP)
    told = rows(store, "energy", "On devices of other nodes")
    shared = [(row["tenant"], row["prefill_j"], row["decode_j"], row["devices"]) for row in told]
    assert shared == [("acme", 9.6, 0.0, 1), ("globex", 0.0, 0.1, 1)]
    assert {row["model"] for row in told} == {"reference-4l"}
    alone = rows(store, "energy", "On devices of other nodes", tenant="globex")
    assert [row["energy_j"] for row in alone] == [0.1]
