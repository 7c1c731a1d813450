"""Rollups equal the aggregation of their tables, whatever is sent again after whatever failed."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.writer import insert_arrow_block

_NUMBERS = count()
T0 = "toDateTime64('2026-09-21 12:00:00.25', 9, 'UTC')"

REQUESTS = f"""SELECT
    number AS request_index,
    ['m1', 'm2'][1 + number % 2] AS model,
    ['acme', 'globex', 'hooli'][1 + number % 3] AS tenant,
    'chat' AS service, 'vllm' AS engine,
    ['0.32', '0.33'][1 + intDiv(number, 7) % 2] AS engine_version,
    if(number % 11 = 0, 'failed', 'finished') AS outcome,
    {T0} + toIntervalMillisecond(number * 250) AS arrival,
    if(number % 13 = 0, NULL, arrival + toIntervalMicrosecond(100 + number)) AS queued,
    if(number % 13 = 0, NULL, queued + toIntervalMicrosecond(number * 37)) AS scheduled,
    if(number % 17 = 0, NULL, arrival + toIntervalMillisecond(20 + number)) AS first_token,
    first_token AS first_output,
    toUInt32(number % 5 * number % 300) AS output_tokens,
    first_token + toIntervalMillisecond(13 * output_tokens) AS last_token,
    ifNull(last_token, arrival) + toIntervalMillisecond(1) AS finished,
    toUInt32(10 + number) AS prompt_tokens, toUInt32(number % 10) AS cached_tokens,
    toUInt32(number % 4) AS recomputed_tokens, toUInt32(number % 3) AS preemptions,
    number % 19 = 0 AS incomplete
FROM numbers"""
ENERGY = f"""SELECT
    number AS request_index, 'm1' AS model, 'acme' AS tenant, 'chat' AS service, 'vllm' AS engine,
    '0.32' AS engine_version, 'finished' AS outcome,
    {T0} + toIntervalSecond(number) AS finished,
    toUInt64(number * 3) AS energy_mj, toUInt64(number) AS prefill_mj,
    toUInt64(number * 2) AS decode_mj
FROM numbers"""
CALLS = f"""SELECT
    'm1' AS model, ['acme', 'globex'][1 + number % 2] AS tenant, 'edge' AS service,
    if(number % 5 = 0, 'shed', 'finished') AS outcome,
    if(number % 5 = 0, NULL, toUInt16(200)) AS status_code,
    {T0} + toIntervalMillisecond(number * 100) AS arrival,
    if(number % 5 = 0, NULL, arrival + toIntervalMillisecond(30 + number)) AS first_content,
    arrival + toIntervalMillisecond(50 + 20 * number) AS finished,
    toUInt16(1 + number % 3) AS attempts,
    if(number % 7 = 0, NULL, toUInt32(number)) AS prompt_tokens,
    if(number % 7 = 0, NULL, toUInt32(number % 3)) AS cached_tokens,
    if(number % 7 = 0, NULL, toUInt32(number % 9)) AS output_tokens,
    arrayMap(n -> toUInt32(9000 + n * number), range(number % 9)) AS inter_chunk_us
FROM numbers"""

_Q = "(0.01, 0.5, 0.9, 0.95, 0.99)"
_REQUEST_KEYS = "minute, model, tenant, service, engine, engine_version, outcome"
_CALL_KEYS = "minute, model, tenant, service, outcome, status_code"
REQUESTS_READ = f"""SELECT {_REQUEST_KEYS},
    sum(requests), sum(incomplete), sum(prompt_tokens), sum(cached_tokens), sum(output_tokens),
    sum(recomputed_tokens), sum(preemptions), quantilesDDMerge{_Q}(queue_us),
    quantilesDDMerge{_Q}(ttft_us), quantilesDDMerge{_Q}(tpot_us), quantilesDDMerge{_Q}(e2e_us)
FROM llm_requests_1m GROUP BY {_REQUEST_KEYS} ORDER BY {_REQUEST_KEYS}"""
REQUESTS_BASE = f"""SELECT toStartOfMinute(finished) AS minute, model, tenant, service, engine,
    engine_version, outcome,
    count(), countIf(incomplete), sum(prompt_tokens), sum(cached_tokens), sum(output_tokens),
    sum(recomputed_tokens), sum(preemptions),
    quantilesDD{_Q}(dateDiff('us', queued, scheduled)),
    quantilesDD{_Q}(dateDiff('us', arrival, first_output)),
    quantilesDD{_Q}(if(output_tokens > 1,
        intDiv(dateDiff('us', first_token, last_token), greatest(1, output_tokens - 1)),
        NULL)),
    quantilesDD{_Q}(dateDiff('us', arrival, finished))
FROM llm_requests GROUP BY {_REQUEST_KEYS} ORDER BY {_REQUEST_KEYS}"""
CALLS_READ = f"""SELECT {_CALL_KEYS},
    sum(calls), sum(attempts), sum(prompt_tokens), sum(cached_tokens), sum(output_tokens),
    quantilesDDMerge{_Q}(ttft_us), quantilesDDMerge{_Q}(itl_us), quantilesDDMerge{_Q}(e2e_us)
FROM llm_gateway_calls_1m GROUP BY {_CALL_KEYS} ORDER BY {_CALL_KEYS}"""
CALLS_BASE = f"""SELECT toStartOfMinute(finished) AS minute, model, tenant, service, outcome,
    coalesce(c.status_code, 0) AS status_code,
    count(), sum(attempts), sum(coalesce(prompt_tokens, 0)), sum(coalesce(cached_tokens, 0)),
    sum(coalesce(output_tokens, 0)),
    quantilesDD{_Q}(dateDiff('us', arrival, first_content)),
    quantilesDDArray{_Q}(inter_chunk_us),
    quantilesDD{_Q}(dateDiff('us', arrival, finished))
FROM llm_gateway_calls AS c GROUP BY {_CALL_KEYS} ORDER BY {_CALL_KEYS}"""


def block(client: Client, rows: str, number: int, start: int = 0) -> bytes:
    """Rows as an Arrow stream, as a writer would send them."""
    sent: bytes = client.raw_query(f"{rows}({start}, {number})", fmt="ArrowStream")
    return sent


def read(client: Client, sql: str) -> list[str]:
    """The rows of a statement as text, in which NaN equals NaN."""
    return [repr(row) for row in client.query(sql).result_rows]


@pytest.fixture
def fresh(engine: Engine) -> Iterator[Client]:
    """A client of a database of its own with the schema applied.

    Unlike the embedded store, it leaves deduplication in views to the writer, as servers do.
    """
    with closing(engine.client()) as client:
        client.set_client_setting("deduplicate_blocks_in_dependent_materialized_views", "0")
        name = f"rollups{next(_NUMBERS)}"
        client.command(f"CREATE DATABASE {name}")
        client.database = name
        schema.apply(client)
        yield client


CASES = [
    pytest.param("llm_requests", REQUESTS, REQUESTS_READ, REQUESTS_BASE, id="requests"),
    pytest.param("llm_gateway_calls", CALLS, CALLS_READ, CALLS_BASE, id="calls"),
]


@pytest.mark.parametrize(("table", "rows", "rollup", "base"), CASES)
def test_rollup_is_the_aggregation_of_its_table(
    fresh: Client, table: str, rows: str, rollup: str, base: str
) -> None:
    """Over many blocks, merged or not, with absent values among them."""
    for index in range(10):
        insert_arrow_block(fresh, table, block(fresh, rows, 200, index * 200), f"token {index}")
    expected = read(fresh, base)
    assert len(expected) > 10
    assert read(fresh, rollup) == expected
    fresh.command(f"OPTIMIZE TABLE {table}_1m FINAL")
    assert read(fresh, rollup) == expected


@pytest.mark.parametrize(("table", "rows", "rollup", "base"), CASES)
def test_a_block_sent_again_counts_once(
    fresh: Client, table: str, rows: str, rollup: str, base: str
) -> None:
    """The same bytes with the same token change neither the table nor its rollup."""
    first, second = block(fresh, rows, 300), block(fresh, rows, 300, 300)
    for sent, token in ((first, "a"), (second, "b"), (first, "a"), (second, "b"), (first, "a")):
        insert_arrow_block(fresh, table, sent, token)
    assert fresh.command(f"SELECT count() FROM {table}") == 600
    assert read(fresh, rollup) == read(fresh, base)


def test_equal_blocks_of_other_tokens_both_count(fresh: Client) -> None:
    """Two blocks whose rollup rows are alike are two blocks."""
    sent = block(fresh, REQUESTS, 50)
    insert_arrow_block(fresh, "llm_requests", sent, "a")
    insert_arrow_block(fresh, "llm_requests", sent, "b")
    assert fresh.command("SELECT count() FROM llm_requests") == 100
    assert fresh.command("SELECT sum(requests) FROM llm_requests_1m") == 100


@pytest.mark.parametrize(("table", "rows", "rollup", "base"), CASES)
def test_a_failure_between_table_and_rollup_is_made_good_by_a_retry(
    fresh: Client, table: str, rows: str, rollup: str, base: str
) -> None:
    """The table has the block and its rollup has not; sent again, both have it once."""
    sent = block(fresh, rows, 300)
    fresh.command(f"ALTER TABLE {table}_1m ADD CONSTRAINT never CHECK minute = 0")
    with pytest.raises(StoreError, match="never"):
        insert_arrow_block(fresh, table, sent, "token")
    assert fresh.command(f"SELECT count() FROM {table}") == 300
    fresh.command(f"ALTER TABLE {table}_1m DROP CONSTRAINT never")
    insert_arrow_block(fresh, table, sent, "token")
    assert fresh.command(f"SELECT count() FROM {table}") == 300
    assert read(fresh, rollup) == read(fresh, base)


def test_energy_joins_the_requests_of_its_minute(fresh: Client) -> None:
    """Joules that come later are added to the row of the request's minute, once."""
    insert_arrow_block(fresh, "llm_requests", block(fresh, REQUESTS, 100), "token")
    for start in (0, 0, 90):
        insert_arrow_block(fresh, "llm_request_energy", block(fresh, ENERGY, 90, start), f"{start}")
    by_minute = "SELECT minute, sum(energy_mj), sum(prefill_mj), sum(decode_mj) FROM "
    rolled_up = f"{by_minute} llm_requests_1m GROUP BY 1 HAVING sum(energy_mj) > 0 ORDER BY 1"
    direct = f"{by_minute.replace('minute', 'toStartOfMinute(finished)')} llm_request_energy"
    assert read(fresh, rolled_up) == read(fresh, f"{direct} GROUP BY 1 ORDER BY 1")
    assert read(fresh, REQUESTS_READ.replace("GROUP BY", "WHERE requests > 0 GROUP BY")) == read(
        fresh, REQUESTS_BASE
    )
