"""The questions on the distributed tables of a cluster of two shards.

The shards are not there, and count as empty: the engine plans each question, which is where it
would refuse one, and runs it.
"""

import re
from collections.abc import Iterator

import pytest
from chdb.session import Session

from otel_llm.exporters.clickhouse import schema
from otel_llm.query.sql import text as statement
from tests.query.test_statements import BOARD_NAMES, NAMES

OF_ONE_SERVER = {"boards/storage"}
"""Asks the server that answers, about its own disk."""

CONFIG = """<clickhouse><remote_servers><blue>
<shard><replica><host>127.0.0.2</host><port>9</port></replica></shard>
<shard><replica><host>127.0.0.3</host><port>9</port></replica></shard>
</blue></remote_servers></clickhouse>"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """One server of a cluster, with its schema but for replication, which needs a keeper."""
    directory = tmp_path_factory.mktemp("cluster")
    config = directory / "config.xml"
    config.write_text(CONFIG, encoding="utf-8")
    session = Session(f"{directory / 'data'}?config-file={config}")
    session.query("CREATE DATABASE otel")
    session.query("USE otel")
    session.query("SET skip_unavailable_shards = 1")
    for each in schema.statements():
        for sql in schema.rendered(each, "blue", "otel"):
            session.query(on_this_server(sql))
    yield session
    session.close()


def on_this_server(sql: str) -> str:
    """A statement without the words that need others or a keeper; `Distributed` stays."""
    sql = sql.replace(" ON CLUSTER 'blue'", "").replace(" replicated_", " non_replicated_")
    return re.sub(r"Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, )?", r"\1(", sql)


def filled(sql: str) -> str:
    """A statement with an empty value in each of its places."""
    return re.sub(r"\{\w+:([^}]+)\}", lambda place: empty(place[1]), sql)


def empty(kind: str) -> str:
    """The empty value of a type."""
    if kind.startswith("Array"):
        return f"CAST([], '{kind}')"
    return {"String": "''", "Bool": "false"}.get(kind, "1")


def test_the_tables_are_spread_over_two_shards(cluster: Session) -> None:
    """The tables that questions read are distributed ones, each over both shards."""
    shards = "SELECT uniqExact(shard_num) FROM system.clusters WHERE cluster = 'blue'"
    assert str(cluster.query(shards)).strip() == "2"
    kinds = "SELECT engine FROM system.tables WHERE database = 'otel' AND name = 'llm_steps'"
    assert str(cluster.query(kinds)).strip() == '"Distributed"'


def test_a_join_of_two_distributed_tables_is_refused(cluster: Session) -> None:
    """What the other tests rely on."""
    double = "SELECT 1 FROM llm_steps WHERE instance_id IN (SELECT instance_id FROM llm_requests)"
    with pytest.raises(RuntimeError, match="Double-distributed"):
        cluster.query(f"EXPLAIN {double}")


@pytest.mark.parametrize("name", [*NAMES, *sorted({*BOARD_NAMES} - OF_ONE_SERVER)])
def test_each_question_runs_over_the_shards(cluster: Session, name: str) -> None:
    """No question joins or looks up one distributed table in another."""
    question = filled(statement(name))
    assert "ReadFromRemote" in str(cluster.query(f"EXPLAIN {question}"))
    assert str(cluster.query(question)) == ""
