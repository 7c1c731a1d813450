"""What each answer of a sink means for a batch."""

import gc
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from otel_llm import runfile
from otel_llm.agent.batches import make_batches
from otel_llm.agent.delivery import FAILURE_REASONS, AwayError, Delivery, RefusedError, Sink
from otel_llm.agent.sinks import ClickHouseSink, OtlpSink, classified
from otel_llm.agent.spool import Batch, SinkName, Spool
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.engine.lock import DirectoryLock
from otel_llm.facts.joined import JoinedRequest, SpanIds
from otel_llm.settings import Settings
from tests.agent.builders import ENGINE, TRACE_ID, anchor, arrived, finished
from tests.agent.fake_sinks import HANG_UP, OK, FakeSinks
from tests.waiting import PATIENCE_S

REQUEST = JoinedRequest(
    ENGINE, anchor(), "finished", arrived(), finished(), SpanIds(TRACE_ID, "1" * 16)
)
(ROWS, SPANS), _ = make_batches([REQUEST], "boot-1")


@pytest.fixture(params=["clickhouse", "otlp"])
def sink(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Sink]:
    """Either sink, sending to the fake server."""
    made: Sink = ClickHouseSink(settings) if request.param == "clickhouse" else OtlpSink(settings)
    yield made
    made.close()


class OneBatch(Spool):
    """A spool of one batch, which writes down what becomes of it."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.told: list[str] = []

    def oldest(self, sink: SinkName) -> Batch | None:
        """The batch."""
        return self.batch if sink == self.batch.sink else None

    def release(self, batch: Batch) -> None:
        """It is kept."""
        assert batch is self.batch
        self.told.append("released")

    def remove(self, batch: Batch) -> None:
        """It is gone."""
        assert batch is self.batch
        self.told.append("removed")

    def delivered(self, _batch: Batch, _refused: int) -> None:
        """It was acknowledged."""
        self.told.append("delivered")

    def refused(self, _batch: Batch) -> None:
        """It was refused."""
        self.told.append("refused")

    def failed(self, _sink: SinkName, reason: str) -> None:
        """A try failed."""
        self.told.append(reason)


def batch_for(sink: Sink) -> Batch:
    """A batch that belongs to the sink."""
    return ROWS if sink.name == "clickhouse" else SPANS


def test_rows_and_spans_arrive(settings: Settings, sinks: FakeSinks) -> None:
    """A batch arrives once, though it is sent twice."""
    rows, spans = ClickHouseSink(settings), OtlpSink(settings)
    for _ in range(2):
        assert rows.send(ROWS) == 0
        assert spans.send(SPANS) == 0
    assert [row["request_id"] for row in sinks.rows("llm_requests")] == ["req-1"]
    assert [span.name for span in sinks.spans] == [
        "llm.request", "llm.queue", "llm.prefill", "llm.decode",
    ]  # fmt: skip
    rows.close()
    spans.close()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (408, "throttled"),
        (429, "throttled"),
        (401, "misconfigured"),
        (403, "misconfigured"),
        (404, "misconfigured"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_away(sink: Sink, sinks: FakeSinks, status: int, reason: str) -> None:
    """Trouble of the server, or with address and token, is no fault of the batch: try again."""
    sinks.behave = lambda _sink: status
    with pytest.raises(AwayError) as caught:
        sink.send(batch_for(sink))
    assert caught.value.reason == reason
    sinks.behave = lambda _sink: 200
    assert sink.send(batch_for(sink)) == 0


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_refused(sink: Sink, sinks: FakeSinks, status: int) -> None:
    """A batch that the server can do nothing with is refused for good."""
    sinks.behave = lambda _sink: status
    with pytest.raises(RefusedError, match=str(status)):
        sink.send(batch_for(sink))


def test_refused_before_the_batch_was_sent(
    settings: Settings, sinks: FakeSinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who refuses the first question, as a port that wants TLS does, says nothing of the batch."""
    monkeypatch.setattr(sinks, "_answer", lambda _path, _body: (400, b"this port speaks TLS"))
    sink = ClickHouseSink(settings)
    with pytest.raises(AwayError) as caught:
        sink.send(ROWS)
    assert caught.value.reason == "misconfigured"
    monkeypatch.undo()
    assert sink.send(ROWS) == 0
    sink.close()


def test_too_slow(sink: Sink, sinks: FakeSinks, settings: Settings) -> None:
    """A server that does not answer in time is tried again."""
    hasty = msgspec.structs.replace(settings, send_timeout_s=1.0)
    made: Sink = ClickHouseSink(hasty) if sink.name == "clickhouse" else OtlpSink(hasty)
    sinks.delay_s = PATIENCE_S
    with pytest.raises(AwayError) as caught:
        made.send(batch_for(sink))
    assert caught.value.reason == "timeout"
    made.close()


def test_nobody_there(sink: Sink, settings: Settings) -> None:
    """A port where nobody listens is tried again."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        lonely = msgspec.structs.replace(settings, clickhouse_url=url, otlp_endpoint=url)
        made: Sink = ClickHouseSink(lonely) if sink.name == "clickhouse" else OtlpSink(lonely)
        with pytest.raises(AwayError) as caught:
            made.send(batch_for(sink))
    assert caught.value.reason == "unreachable"
    made.close()


@pytest.mark.parametrize("answer", [OK, 400, 500, HANG_UP, None])
def test_nothing_holds_a_batch_that_was_tried(
    sink: Sink, sinks: FakeSinks, answer: int | None
) -> None:
    """Whatever came of it, its bytes go at once: the agent has Python look for cycles seldom."""
    if answer is None:
        sinks.close()
    else:
        sinks.behave = lambda _sink: answer
    batch = batch_for(sink)
    batch = msgspec.structs.replace(batch, body=bytes(bytearray(batch.body)))
    spool = OneBatch(batch)
    delivery = Delivery(sink, spool, spool)
    logging.disable(logging.CRITICAL)  # pytest keeps what is logged, with the errors in it
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(batch), sys.getrefcount(batch.body)
        for _ in range(3):
            delivery.deliver_one()
        assert (sys.getrefcount(batch), sys.getrefcount(batch.body)) == before
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)
    assert spool.told


def test_no_address(sink: Sink, settings: Settings) -> None:
    """Without an address and without a running `up` there is nobody to send to, yet."""
    nameless = msgspec.structs.replace(settings, clickhouse_url="", otlp_endpoint="")
    made: Sink = ClickHouseSink(nameless) if sink.name == "clickhouse" else OtlpSink(nameless)
    with pytest.raises(AwayError, match="no `otel-llm up`") as caught:
        made.send(batch_for(sink))
    assert caught.value.reason == "unreachable"
    made.close()


def test_an_address_that_is_none(sink: Sink, settings: Settings) -> None:
    """A wrong address is tried again, since an operator may mend it."""
    wrong = msgspec.structs.replace(settings, clickhouse_url="nonsense", otlp_endpoint="nonsense")
    made: Sink = ClickHouseSink(wrong) if sink.name == "clickhouse" else OtlpSink(wrong)
    with pytest.raises(AwayError) as caught:
        made.send(batch_for(sink))
    assert caught.value.reason in FAILURE_REASONS
    made.close()


def test_the_running_up_is_found(settings: Settings, sinks: FakeSinks, tmp_path: Path) -> None:
    """Without an address in the settings, both sinks send to the running `up`."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    token_file, _ = runfile.token(data_dir)
    runfile.write(data_dir, runfile.RunFile(os.getpid(), sinks.url, sinks.url, "", str(token_file)))
    lock = DirectoryLock(data_dir, "up")
    nameless = msgspec.structs.replace(settings, clickhouse_url="", otlp_endpoint="")
    rows, spans = ClickHouseSink(nameless), OtlpSink(nameless)
    assert (rows.send(ROWS), spans.send(SPANS)) == (0, 0)
    assert (len(sinks.rows("llm_requests")), len(sinks.spans)) == (1, 4)
    rows.close()
    spans.close()
    lock.release()


def test_partial_success(settings: Settings, sinks: FakeSinks) -> None:
    """Spans that an endpoint says it will not keep are told."""
    sinks.rejected_spans = 3
    spans = OtlpSink(settings)
    assert spans.send(SPANS) == 3
    spans.close()


@pytest.mark.parametrize(
    ("code", "meaning", "reason"),
    [
        (60, AwayError, "misconfigured"),
        (16, AwayError, "misconfigured"),
        (516, AwayError, "misconfigured"),
        (241, AwayError, "server_error"),
        (252, AwayError, "server_error"),
        (1002, AwayError, "server_error"),
        (53, RefusedError, ""),
        (27, RefusedError, ""),
    ],
)
def test_clickhouse_codes(code: int, meaning: type[Exception], reason: str) -> None:
    """ClickHouse's own number says more than its status.

    60 is a table that is not there yet, 252 too many parts, 53 a type that does not fit.
    """
    error = StoreError("refused")
    error.__cause__ = DatabaseError("no", code=code)
    found = classified(error)
    assert type(found) is meaning
    assert getattr(found, "reason", "") == reason


def test_clickhouse_without_an_answer() -> None:
    """No number and no status: nobody answered."""
    silent = classified(OperationalError("Error executing HTTP request"))
    slow = classified(OperationalError("Read timed out. (read timeout=2)"))
    assert [getattr(each, "reason", "") for each in (silent, slow)] == ["unreachable", "timeout"]


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"content-type": "text/html; charset=utf-8"}, 200, "misconfigured"),
        ({}, 200, "misconfigured"),
        ({"content-encoding": "gzip", "content-type": "application/x-protobuf"}, 200, "unexpected"),
        ({"content-type": "text/plain; charset=hex"}, 503, "server_error"),
        ({"content-type": "text/plain; charset=hex"}, 404, "misconfigured"),
    ],
)
def test_odd_answers(
    settings: Settings, sinks: FakeSinks, headers: dict[str, str], status: int, reason: str
) -> None:
    """An answer that is not OTLP's is no acknowledgement, and does not end the delivery."""
    sinks.otlp_headers, sinks.rejected_spans = headers, 1
    sinks.behave = lambda _sink: status
    spool, sink = OneBatch(SPANS), OtlpSink(settings)
    delivery = Delivery(sink, spool, spool)
    assert not delivery.deliver_one()
    assert spool.told == ["released", reason]
    sinks.otlp_headers = {"content-type": "Application/X-Protobuf; v=1"}
    sinks.behave = lambda _sink: 200
    assert delivery.deliver_one()
    assert spool.told[2:] == ["removed", "delivered"]
    sink.close()


def test_an_empty_answer_needs_no_type(settings: Settings, sinks: FakeSinks) -> None:
    """Nothing rejected is encoded as no bytes at all."""
    sinks.otlp_headers = {}
    spans = OtlpSink(settings)
    assert spans.send(SPANS) == 0
    spans.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"otlp_token": "gehe\u00efm-SECRET"},
        {"otlp_token": "SECRET\nmore"},
        {"otlp_endpoint": f"http://{'x' * 70}.test"},
        {"otlp_endpoint": "http://127.0.0.1:99999"},
        {"otlp_endpoint": "http://127.0.0.1:-1"},
        {"clickhouse_url": f"http://{'x' * 70}.test"},
        {"clickhouse_url": "http://127.0.0.1:99999"},
    ],
)
def test_wrong_settings(
    settings: Settings, changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Each is a failed try that is counted, and no secret is logged."""
    wrong = msgspec.structs.replace(settings, **changes)
    to_rows = "clickhouse" in next(iter(changes))
    sink: Sink = ClickHouseSink(wrong) if to_rows else OtlpSink(wrong)
    spool = OneBatch(ROWS if to_rows else SPANS)
    assert not Delivery(sink, spool, spool).deliver_one()
    assert spool.told[0] == "released"
    assert spool.told[1] in FAILURE_REASONS
    assert "SECRET" not in caplog.text
    sink.close()
