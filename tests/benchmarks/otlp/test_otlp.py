"""The benchmark of OTLP decoding: its spans, its other candidate, and its page."""

from collections.abc import Iterator

import pytest

from benchmarks.otlp import __main__ as bench
from benchmarks.otlp import measure, page, parse, spans
from otel_llm.collector.decoder import COLUMNS, check, decode
from otel_llm.exporters.clickhouse.engine import Engine
from tests.stores import opened


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine with the schema and the candidate's table applied."""
    with opened(tmp_path_factory.mktemp("data")) as engine:
        for sql in (parse.TABLE, parse.VIEW):
            measure._run(engine, sql)
        yield engine


def test_spans_are_what_the_page_says() -> None:
    """A thousand to a request, the same ones each time."""
    bodies = list(spans.requests(2))
    assert bodies == list(spans.requests(2))
    assert [check("traces", body)[:2] for body in bodies] == [(spans.PER_REQUEST, 0)] * 2


def test_both_candidates_store_the_same(engine: Engine) -> None:
    """ClickHouse's own reading of the requests gives the rows that the decoder gives."""
    bodies = list(spans.requests(2))
    columns = ", ".join(f"`{name}`" for name in COLUMNS["otel_traces"])
    asked = f"SELECT {columns} FROM otel_traces ORDER BY SpanId FORMAT JSONEachRow"
    [block] = decode("traces", bodies)
    measure._insert(engine, block.body)
    decoded = measure._run(engine, asked)
    measure._run(engine, "TRUNCATE TABLE otel_traces")
    measure._parse(engine, parse.joined(bodies))
    assert measure._run(engine, asked) == decoded


@pytest.mark.bench
def test_the_figures_and_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small run gives every figure, and the page shows each stage."""
    monkeypatch.setattr(measure, "REPEATS", 2)
    result = bench.collect(1)
    assert result["spans"] == spans.PER_REQUEST
    assert all(rate > 0 for rate in result["spans_per_core_s"].values())
    shown = page.render(result)
    assert all(f"| {text} |" in shown for text in page._NAMES.values())
