"""Spans straight into the store."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.client import Client
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse import span_exporter
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.exporters.clickhouse.span_exporter import ClickHouseSpanExporter
from otel_llm.settings import Settings
from tests.agent.fake_sinks import HANG_UP, FakeSinks
from tests.waiting import PATIENCE_S, until

OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
DOCS = Path(__file__).parents[3] / "docs" / "span-exporter.md"


def make_spans(count: int = 3) -> list[ReadableSpan]:
    """Spans with everything on: kinds, statuses, events, links, every attribute type."""
    memory = InMemorySpanExporter()
    resource = Resource({"service.name": "chat", "empty": "", "zero": 0})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("scope", "1.2", attributes={"in": "scope"})
    values: dict[str, Any] = {
        "text": "t\x00ö'; DROP TABLE x --", "empty": "", "no": False, "yes": True, "zero": 0,
        "big": 2**63 - 1, "odd": 2**53 + 1, "float": 1e-7, "list": ["a", ""], "ints": (1, 2),
        "none_in": [None, "x"], "bytes": b"\x00\xff",
    }  # fmt: skip
    with tracer.start_as_current_span("root", kind=SpanKind.SERVER, attributes=values) as root:
        root.add_event("seen", {"n": 1})
        root.set_status(Status(StatusCode.ERROR, "broke"))
        for number in range(count - 1):
            links = [Link(root.get_span_context(), {"why": number})]
            tracer.start_span(f"child-{number}", links=links, kind=SpanKind.CLIENT).end()
    provider.shutdown()
    return list(memory.get_finished_spans())


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """A client of the served stack."""
    with closing(connect(data_dir=str(Path(stack.run.token_file).parent))) as client:
        yield client


@pytest.fixture
def served(stack: Stack) -> Iterator[ClickHouseSpanExporter]:
    """An exporter that finds the served stack by its data directory."""
    exporter = ClickHouseSpanExporter(Settings(data_dir=str(Path(stack.run.token_file).parent)))
    yield exporter
    exporter.shutdown()


@pytest.fixture
def sinks() -> Iterator[FakeSinks]:
    """A server that misbehaves when told to."""
    fake = FakeSinks()
    yield fake
    fake.close()


Make = Callable[..., ClickHouseSpanExporter]


@pytest.fixture
def make(sinks: FakeSinks) -> Iterator[Make]:
    """Makes exporters to that server."""
    made: list[ClickHouseSpanExporter] = []

    def start(**changes: Any) -> ClickHouseSpanExporter:  # noqa: ANN401
        settings = Settings(clickhouse_url=sinks.url, send_timeout_s=5.0)
        made.append(ClickHouseSpanExporter(msgspec.structs.replace(settings, **changes)))
        return made[-1]

    yield start
    for exporter in made:
        exporter.shutdown()


def rows_of(client: Client, spans: list[ReadableSpan], count: int | None = None) -> list[Any]:
    """Whole rows of some spans' trace, once so many are there."""
    trace = f"{spans[0].context.trace_id:032x}"
    sql = "SELECT * FROM otel_traces WHERE TraceId = {t:String} ORDER BY SpanId"
    rows: list[Any] = []

    def are_there() -> bool:
        rows[:] = client.query(sql, parameters={"t": trace}).named_results()
        return len(rows) >= (len(spans) if count is None else count)

    until(are_there)
    return rows


def test_rows_are_those_of_the_otlp_way(
    stack: Stack, client: Client, served: ClickHouseSpanExporter
) -> None:
    """The same spans, sent to the OTLP receiver and by the exporter, are the same rows."""
    spans = make_spans()
    headers = {"Authorization": f"Bearer {stack.run.token}"}
    otlp = OTLPSpanExporter(f"{stack.run.otlp_url}/v1/traces", headers=headers)
    assert otlp.export(spans) is OK
    otlp.shutdown()
    by_otlp = rows_of(client, spans)
    assert len(by_otlp) == len(spans)
    assert served.export(spans) is OK
    both = rows_of(client, spans, 2 * len(spans))
    assert both == [row for row in by_otlp for _ in range(2)]


def test_a_batch_exported_again_is_stored_once(
    client: Client, served: ClickHouseSpanExporter
) -> None:
    """The identical batch is the identical block, in the table of trace times too."""
    spans = make_spans()
    for _ in range(3):
        assert served.export(spans) is OK
    assert len(rows_of(client, spans)) == len(spans)
    sql = "SELECT count() FROM otel_traces_trace_id_ts WHERE TraceId = {t:String}"
    trace = {"t": f"{spans[0].context.trace_id:032x}"}
    assert client.query(sql, parameters=trace).result_rows == [(1,)]


def test_through_a_batch_processor(client: Client, served: ClickHouseSpanExporter) -> None:
    """`force_flush` stores what ended, `shutdown` what is left."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(served, schedule_delay_millis=60_000))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("root") as root:
        tracer.start_span("first").end()
    assert provider.force_flush()
    sql = "SELECT count() FROM otel_traces WHERE TraceId = {t:String}"
    trace = {"t": f"{root.get_span_context().trace_id:032x}"}
    assert client.query(sql, parameters=trace).result_rows == [(2,)]
    tracer.start_span("late").end()
    provider.shutdown()
    assert client.command("SELECT count() FROM otel_traces WHERE SpanName = 'late'") == 1
    assert served.lost_spans == 0


def test_many_bytes_go_in_several_blocks(
    client: Client, served: ClickHouseSpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans whose rows are larger than a block may be are all stored."""
    monkeypatch.setattr(span_exporter, "MOST_BYTES", 2_000)
    spans = make_spans(20)
    assert served.export(spans) is OK
    assert len(rows_of(client, spans)) == 20


def test_no_spans_are_no_block(make: Make, sinks: FakeSinks) -> None:
    """An empty batch is a success without a request."""
    assert make().export([]) is OK
    assert sinks.waiting == 0


def test_a_retry_is_the_identical_block(make: Make, sinks: FakeSinks) -> None:
    """Taken without an answer, refused for a while: sent again, the same bytes and token."""
    answers = iter([HANG_UP, HANG_UP, 503, 429, 200])
    sinks.behave = lambda _sink: next(answers)
    exporter = make()
    assert exporter.export(make_spans()) is OK
    assert [status for _, status in sinks.deliveries][-3:] == [503, 429, 200]
    assert sinks.changed == []
    assert len(sinks.native) == 1
    assert exporter.lost_spans == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_no_retry_mends_is_given_up(
    make: Make, sinks: FakeSinks, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """The batch is lost, counted, and logged once in a row; the next is tried all the same."""
    sinks.behave = lambda _sink: status
    exporter = make()
    assert [exporter.export(make_spans()) for _ in range(2)] == [FAILED, FAILED]
    assert (exporter.lost_spans, len(sinks.deliveries)) == (6, 2)
    assert len(caplog.records) == 1
    assert "3 spans are lost" in caplog.text
    sinks.behave = lambda _sink: 200
    assert exporter.export(make_spans()) is OK


def test_a_store_that_stays_away(
    make: Make, sinks: FakeSinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is tried until no wait before a next try fits into its time."""
    now_s = 100.0
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        nonlocal now_s
        now_s += seconds
        waits.append(seconds)
        return False

    sinks.behave = lambda _sink: 503
    monkeypatch.setattr(span_exporter, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(span_exporter, "chance", lambda: 1.0)
    exporter = make(send_timeout_s=5.0)
    monkeypatch.setattr(exporter._stopped, "wait", wait)
    assert exporter.export(make_spans()) is FAILED
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6])
    assert len(sinks.deliveries) == 5
    assert exporter.lost_spans == 3


def test_without_any_store(tmp_path: Path) -> None:
    """No URL and no running `up`: a failure, and no data directory is opened or made."""
    exporter = ClickHouseSpanExporter(Settings(data_dir=str(tmp_path / "d"), send_timeout_s=0.2))
    assert exporter.export(make_spans()) is FAILED
    assert list(tmp_path.iterdir()) == []


def test_shutdown_ends_a_wait(
    make: Make, sinks: FakeSinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export between two tries returns; later ones are failures that send nothing."""
    sinks.behave = lambda _sink: 503
    monkeypatch.setattr(span_exporter, "wait_s", lambda *_: 600.0)
    exporter = make(send_timeout_s=3600.0)
    results: list[SpanExportResult] = []
    thread = threading.Thread(target=lambda: results.append(exporter.export(make_spans())))
    thread.start()
    until(lambda: sinks.deliveries)
    assert exporter.force_flush(timeout_millis=10) is False
    exporter.shutdown()
    thread.join(PATIENCE_S)
    assert results == [FAILED]
    sent = sinks.waiting
    assert exporter.export(make_spans()) is FAILED
    assert sinks.waiting == sent
    assert exporter.force_flush() is True


def test_a_child_connects_anew(make: Make, sinks: FakeSinks) -> None:
    """After a fork in the middle of an export the child sends, on a connection of its own."""
    exporter = make()
    assert exporter.export(make_spans()) is OK
    spans, parents = make_spans(), exporter._client
    with exporter._exporting:
        child = os.fork()
        if child == 0:
            fresh = exporter._client is None and exporter.export(spans) is OK
            os._exit(0 if fresh else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert exporter._client is parents
    assert exporter.export(make_spans()) is OK
    assert len(sinks.native) == len(sinks.deliveries) == 3


def test_the_page_runs(stack: Stack, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of docs/span-exporter.md stores its span."""
    monkeypatch.setenv("OTEL_LLM_DATA_DIR", str(Path(stack.run.token_file).parent))
    [block] = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    exec(compile(block, str(DOCS), "exec"), {})
    sql = "SELECT ServiceName, SpanAttributes['answer'] FROM otel_traces WHERE SpanName = 'work'"
    assert client.query(sql).result_rows == [("my-service", "42")]
