"""Rollups equal the aggregation of their tables, whatever is sent again after whatever failed."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.conventions import ALL_ROLLUPS, Rollups, Table
from otel_llm.conventions.rollups import SKETCH
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
    toUInt32(number % 4) AS recomputed_tokens, toUInt32(number % 2) AS preemptions,
    toUInt32(number % 6) AS rejected_tokens, toUInt32(number % 8) AS discarded_tokens,
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

_Q = SKETCH.removeprefix("quantilesDD")


def keys_of(table: Table) -> str:
    """The columns by which a rollup groups."""
    return ", ".join(each.name for each in table.columns if "AggregateFunction" not in each.type)


def sums_of(table: Table) -> list[str]:
    """The columns that are summed."""
    return [each.name for each in table.columns if each.type.startswith("SimpleAggregateFunction")]


def states_of(table: Table) -> list[str]:
    """The columns that are quantile states."""
    return [each.name for each in table.columns if each.type.startswith("AggregateFunction")]


ENERGY_SUMS = [name for name in sums_of(Rollups.REQUESTS) if name.endswith("_mj")]


def reading(table: Table) -> str:
    """What reads all of a rollup, column by column as declared, but for energy."""
    sums = [f"sum({name})" for name in sums_of(table) if name not in ENERGY_SUMS]
    states = [f"quantilesDDMerge{_Q}({name})" for name in states_of(table)]
    keys = keys_of(table)
    return f"""SELECT {", ".join([keys, *sums, *states])}
        FROM {table.name} GROUP BY {keys} ORDER BY {keys}"""


def aggregating(table: Table, source: str, special: dict[str, str]) -> str:
    """The same of the base table: a sum of the same name unless `special` says otherwise."""
    names = [name for name in sums_of(table) + states_of(table) if name not in ENERGY_SUMS]
    values = [special.get(name, f"sum(coalesce(s.{name}, 0))") for name in names]
    keys = keys_of(table)
    made = {"minute": "toStartOfMinute(finished)", "status_code": "coalesce(s.status_code, 0)"}
    given = [f"{made[key]} AS {key}" if key in made else key for key in keys.split(", ")]
    return f"""SELECT {", ".join([*given, *values])}
        FROM {source} AS s GROUP BY {keys} ORDER BY {keys}"""


REQUESTS_READ = reading(Rollups.REQUESTS)
REQUESTS_BASE = aggregating(
    Rollups.REQUESTS,
    "llm_requests",
    {
        "requests": "count()",
        "incomplete": "countIf(incomplete)",
        "queue_us": f"quantilesDD{_Q}(dateDiff('us', queued, scheduled))",
        "ttft_us": f"quantilesDD{_Q}(dateDiff('us', arrival, first_output))",
        "tpot_us": f"""quantilesDD{_Q}(if(output_tokens > 1,
            intDiv(dateDiff('us', first_token, last_token), greatest(1, output_tokens - 1)),
            NULL))""",
        "e2e_us": f"quantilesDD{_Q}(dateDiff('us', arrival, finished))",
    },
)
CALLS_READ = reading(Rollups.CALLS)
CALLS_BASE = aggregating(
    Rollups.CALLS,
    "llm_gateway_calls",
    {
        "calls": "count()",
        "ttft_us": f"quantilesDD{_Q}(dateDiff('us', arrival, first_content))",
        "itl_us": f"quantilesDDArray{_Q}(inter_chunk_us)",
        "e2e_us": f"quantilesDD{_Q}(dateDiff('us', arrival, finished))",
    },
)


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


def test_no_two_sums_are_alike(fresh: Client) -> None:
    """So that two columns filled from each other's would be seen above, none is 0 or another's."""
    insert_arrow_block(fresh, "llm_requests", block(fresh, REQUESTS, 300), "a")
    insert_arrow_block(fresh, "llm_request_energy", block(fresh, ENERGY, 300), "b")
    insert_arrow_block(fresh, "llm_gateway_calls", block(fresh, CALLS, 300), "c")
    for table in ALL_ROLLUPS:
        sums = ", ".join(f"sum({name})" for name in sums_of(table))
        [totals] = fresh.query(f"SELECT {sums} FROM {table.name}").result_rows
        assert len({0, *totals}) == len(totals) + 1


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
    sums = ", ".join(f"sum({name})" for name in ENERGY_SUMS)
    by_minute = f"SELECT minute, {sums} FROM "
    rolled_up = f"{by_minute} llm_requests_1m GROUP BY 1 HAVING sum(energy_mj) > 0 ORDER BY 1"
    direct = f"{by_minute.replace('minute', 'toStartOfMinute(finished)')} llm_request_energy"
    assert read(fresh, rolled_up) == read(fresh, f"{direct} GROUP BY 1 ORDER BY 1")
    assert read(fresh, REQUESTS_READ.replace("GROUP BY", "WHERE requests > 0 GROUP BY")) == read(
        fresh, REQUESTS_BASE
    )


def test_the_times_of_a_trace_are_those_of_its_first_and_last_span(fresh: Client) -> None:
    """Who knows a trace's id finds its days there."""
    at = "toDateTime64('2026-09-21 12:00:00', 9, 'UTC') + toIntervalMinute(number)"
    fresh.command(f"INSERT INTO otel_traces (TraceId, Timestamp) SELECT '7', {at} FROM numbers(9)")
    asked = "SELECT toString(Start, 'UTC'), toString(End, 'UTC') FROM otel_traces_trace_id_ts"
    assert fresh.query(asked).result_rows == [("2026-09-21 12:00:00", "2026-09-21 12:08:00")]
