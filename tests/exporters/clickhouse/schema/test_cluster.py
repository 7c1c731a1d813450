"""The schema for a cluster: made from the same files, parsed by the engine, and compared whole.

No cluster can be had here. What runs on one server of it is run, with the words that need the
others taken out; the rest is parsed.
"""

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine

SNAPSHOT = Path(__file__).parent / "cluster.sql"
_NUMBERS = count()


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    """A client whose database is new and empty."""
    with closing(engine.client()) as client:
        name = f"cluster{next(_NUMBERS)}"
        client.command(f"CREATE DATABASE {name}")
        client.database = name
        yield client


def rendered() -> list[str]:
    """All statements for a cluster."""
    made = [
        sql
        for statement in schema.statements()
        for sql in schema.rendered(statement, "blue", "otel")
    ]
    kept = [schema.alteration(each, "blue") for each in schema.wanted(())]
    return [*made, *kept, schema.alteration(schema.wanted(["*=0"])[0], "blue")]


def test_is_that_of_the_snapshot() -> None:
    """A change is seen in review. To take a new one: delete the file and run this test twice."""
    text = "".join(f"{sql.strip()};\n\n" for sql in rendered())
    if not SNAPSHOT.exists():
        SNAPSHOT.write_text(text, encoding="utf-8")
        pytest.fail(f"{SNAPSHOT.name} was missing and is written now: look at it, and run again")
    assert text == SNAPSHOT.read_text(encoding="utf-8")


@pytest.mark.parametrize("sql", rendered())
def test_is_parsed_by_the_engine(client: Client, sql: str) -> None:
    """The engine's parser takes each statement, and sees the cluster in it."""
    formatted = client.query("SELECT formatQuery({sql:String})", parameters={"sql": sql})
    assert "ON CLUSTER blue" in formatted.result_rows[0][0]


def test_tables_are_replicated_with_a_deduplication_window() -> None:
    """No table is left on one server alone, and each replica remembers blocks."""
    for sql in rendered():
        engine = re.search(r"^ENGINE = (\w+)(.*)", sql, re.MULTILINE)
        if engine is None or engine[1] == "Distributed":
            continue
        assert engine[1].startswith("Replicated")
        assert "('/clickhouse/tables/{shard}/{database}/{table}', '{replica}'" in engine[2]
        assert " replicated_deduplication_window = 10000" in sql
        assert "non_replicated" not in sql


def test_inserts_are_spread_by_what_is_asked_together() -> None:
    """Traces by their id, steps and kernels by their engine; the same block goes the same ways."""
    keys = {each.table: each.shard_by for each in schema.statements() if each.creates}
    assert keys["otel_traces"] == keys["otel_traces_trace_id_ts"] == "cityHash64(TraceId)"
    assert keys["llm_steps"] == keys["llm_kernels"] == "cityHash64(instance_id)"
    assert "rand" not in " ".join(keys.values())
    rolled_up = {name for name in keys if name.endswith("_1m")}
    made = [statement.creates for statement in schema.statements()]
    tables = {each[1] for each in made if each and each[0] == "TABLE"}
    assert {name for name in tables if not keys[name]} == rolled_up


def on_one_server(sql: str) -> str:
    """A statement without the words that need other servers."""
    sql = sql.replace(" ON CLUSTER 'blue'", "").replace(" replicated_", " non_replicated_")
    sql = re.sub(r"Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?", r"\1(", sql)
    return re.sub(r" AS (\w+_local)\nENGINE = Distributed.*", r" ENGINE = Merge('', '^\1$')", sql)


def test_what_each_server_has_works_together(client: Client) -> None:
    """Local tables, the views between them and the tables that read them find each other."""
    for sql in rendered():
        merged = on_one_server(sql).replace("Merge('',", f"Merge('{client.database}',")
        client.command(merged)
    client.command("INSERT INTO otel_traces_local (TraceId, Timestamp) SELECT '7', now64(9)")
    client.command("INSERT INTO llm_requests_local (finished) SELECT now64(9)")
    client.command(
        "INSERT INTO llm_steps_local (scheduled, request_index, phase, tokens, context) "
        "SELECT now64(9), [1, 2], [0, 1], [9, 1], [0, 7]"
    )
    for table, rows in (
        ("otel_traces", 1), ("otel_traces_trace_id_ts", 1), ("llm_requests_1m", 1),
        ("llm_step_requests", 2),
    ):  # fmt: skip
        assert client.command(f"SELECT count() FROM {table}") == rows


@pytest.fixture
def ran(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is run: of it `on_one_server` is done, and answered as a cluster's server would."""
    ran: list[str] = []
    command, query = client.command, client.query

    def run_instead(sql: str) -> object:
        if not sql.startswith(("EXISTS", "SELECT")):
            ran.append(sql)
        return command(on_one_server(sql).replace("Merge('',", f"Merge('{client.database}',"))

    def ask_instead(sql: str, *arguments: object) -> object:
        engines = """name, multiIf(engine = 'Merge', 'Distributed', engine LIKE '%MergeTree',
            concat('Replicated', engine), engine),
            replaceAll(engine_full, 'non_replicated_', 'replicated_')"""
        return query(sql.replace("name, engine, engine_full", engines), *arguments)

    monkeypatch.setattr(client, "command", run_instead)
    monkeypatch.setattr(client, "query", ask_instead)
    return ran


def test_apply_runs_them_in_order(client: Client, ran: list[str]) -> None:
    """Each file's statements, then its record, which names the cluster; the second time none."""
    assert schema.apply(client, "blue") == schema.statements()
    assert ran[0].startswith("CREATE TABLE IF NOT EXISTS schema_migrations ON CLUSTER 'blue'\n")
    assert "'/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}', applied_at" in ran[0]
    for statement in schema.statements():
        made = schema.rendered(statement, "blue", str(client.database))
        place = ran.index(made[0])
        assert ran[place : place + len(made)] == list(made)
        assert ran[place + len(made)].endswith(f"'{statement.sha256}', 'blue'")
    assert schema.pending(client, "blue") == ()
    assert schema.apply(client, "blue") == ()


def test_what_a_server_lacks_or_has_otherwise_is_told(client: Client, ran: list[str]) -> None:
    """A table is two on each server; each is missed, and each is compared."""
    schema.apply(client, "blue")
    assert schema.differences(client, "blue") == ()
    for name in ("llm_kernels", "llm_steps_local", "llm_requests_1m_mv"):
        client.command(f"DROP TABLE {name}")
    missing = [each.table for each in schema.pending(client, "blue")]
    assert missing == ["llm_steps", "llm_kernels", "llm_requests_1m_mv", "llm_steps"]
    schema.apply(client, "blue")
    window = "MODIFY SETTING replicated_deduplication_window"
    client.command(f"ALTER TABLE otel_logs_local {window} = 9")
    told = ["otel_logs_local: has no replicated_deduplication_window = 10000"]
    assert [str(each) for each in schema.differences(client, "blue")] == told
    schema.apply(client, "blue")
    assert ran[-1] == f"ALTER TABLE otel_logs_local ON CLUSTER 'blue' {window} = 10000"
    assert schema.differences(client, "blue") == ()
    client.command("DROP TABLE otel_traces")
    client.command("CREATE TABLE otel_traces (a String) ENGINE = Merge(currentDatabase(), '^a$')")
    [found] = schema.differences(client, "blue")
    assert found.table == "otel_traces"
    assert found.problems[:2] == ("has no column Timestamp", "has no column TraceId")


def test_a_schema_of_one_server_is_none_of_a_cluster(client: Client) -> None:
    """Whoever gives the wrong cluster is told, before anything is changed."""
    schema.apply(client)
    with pytest.raises(StoreError, match=r"schema of a single server, not of the cluster blue"):
        schema.pending(client, "blue")
    with pytest.raises(StoreError, match="a single server"):
        schema.apply(client, "blue")
