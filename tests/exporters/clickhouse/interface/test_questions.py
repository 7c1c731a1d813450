"""Questions pass the door of the embedded store: it knows every function they use."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.clock import EpochNs
from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.query.catalogue import questions
from otel_llm.query.recent import Filter, recent
from otel_llm.query.service import Objective
from otel_llm.query.spans import trace_spans
from otel_llm.query.window import Window

ALL = questions(Objective())


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """A client over HTTP."""
    with closing(connect(data_dir=str(Path(stack.run.token_file).parent))) as client:
        yield client


@pytest.mark.parametrize("name", ALL)
def test_a_question_is_let_in(client: Client, name: str) -> None:
    """An empty store has no answer, but the question is no offence."""
    window = Window(since_ns=EpochNs(0), until_ns=EpochNs(1 << 60), every_ns=60_000_000_000)
    assert list(ALL[name].answer(client, window)) == []


def test_lists_and_spans_are_let_in(client: Client) -> None:
    """So are the list of what arrived and the spans of a trace."""
    assert recent(client, Filter(since_ns=EpochNs(0), slow=True)) == []
    sql = "INSERT INTO otel_traces (Timestamp, TraceId, SpanName) SELECT now64(9), 'x', 'seen'"
    client.command(sql)
    assert [span.name for span in trace_spans(client, "x")] == ["seen"]
