"""Each stage over the same requests, in CPU seconds of the process: chDB's threads included."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.otlp import parse, spans
from otel_llm.collector.decoder import COLUMNS, check, decode
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine

REPEATS = 3
PER_BLOCK = 64
"""Requests decoded together: a block of 64,000 rows."""

_INSERT = f"INSERT INTO otel_traces ({', '.join(f'`{name}`' for name in COLUMNS['otel_traces'])})"

Stage = Callable[[], None]


def spans_per_core_second(count: int) -> dict[str, list[float]]:
    """Every stage's repeats, for `count` requests.

    The stages take turns, so that all see the same noise.
    """
    bodies = list(spans.requests(count))
    with (
        tempfile.TemporaryDirectory() as directory,
        closing(Engine(Path(directory) / "data", memory_bytes=8 << 30)) as engine,
    ):
        return _in_turn(_stages(engine, bodies), count * spans.PER_REQUEST)


def _in_turn(stages: dict[str, Stage], items: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(REPEATS):
        for name, stage in stages.items():
            began = time.process_time()
            stage()
            taken[name].append(items / (time.process_time() - began))
    return taken


def _stages(engine: Engine, bodies: Sequence[bytes]) -> dict[str, Stage]:
    with closing(engine.client()) as client:
        schema.apply(client)
    groups = [bodies[at : at + PER_BLOCK] for at in range(0, len(bodies), PER_BLOCK)]
    joined = [parse.joined(group) for group in groups]
    blocks = [decode("traces", group)[0].body for group in groups]
    items = len(bodies) * spans.PER_REQUEST

    def into_table(fill: Stage) -> Stage:
        return lambda: _filled(engine, fill, items)

    _fill_source(engine, blocks, items)
    for sql in (parse.TABLE, parse.VIEW):
        _run(engine, sql)
    return {
        "check": lambda: _each(lambda body: check("traces", body), bodies),
        "decode": lambda: _each(lambda group: decode("traces", group), groups),
        "insert_native": into_table(lambda: _each(lambda each: _insert(engine, each), blocks)),
        "check_decode_insert": into_table(lambda: _whole(engine, groups)),
        "clickhouse_parses": into_table(lambda: _each(lambda each: _parse(engine, each), joined)),
        "copy": into_table(lambda: _run(engine, "INSERT INTO otel_traces SELECT * FROM source")),
    }


def _each(work: Callable[[Any], object], given: Sequence[Any]) -> None:
    for each in given:
        work(each)


def _whole(engine: Engine, groups: Sequence[Sequence[bytes]]) -> None:
    for group in groups:
        for body in group:
            check("traces", body)
        [block] = decode("traces", group)
        _insert(engine, block.body)


def _insert(engine: Engine, block: bytes) -> None:
    with engine.session() as handle:
        handle.insert(_INSERT, "Native", block)


def _parse(engine: Engine, data: bytes) -> None:
    with engine.session() as handle:
        handle.set(parse.SETTINGS)
        handle.insert("INSERT INTO raw (resource, scope_spans)", "ProtobufList", data)


def _run(engine: Engine, sql: str) -> bytes:
    with engine.session() as handle:
        return handle.run(sql)


def _fill_source(engine: Engine, blocks: Sequence[bytes], items: int) -> None:
    """A table that is like `otel_traces` and has one part, to be copied from."""
    _filled(engine, lambda: _each(lambda each: _insert(engine, each), blocks), items)
    _run(engine, "CREATE TABLE source AS otel_traces")
    _run(engine, "INSERT INTO source SELECT * FROM otel_traces")
    _run(engine, "OPTIMIZE TABLE source FINAL")


def _filled(engine: Engine, fill: Stage, items: int) -> None:
    """Fill the table and its view, and wait until its merges are done.

    Emptying is paid by each stage that fills alike; it takes milliseconds.
    """
    for table in ("otel_traces", "otel_traces_trace_id_ts"):
        _run(engine, f"TRUNCATE TABLE {table}")
    fill()
    while int(_run(engine, "SELECT count() FROM system.merges")):
        time.sleep(0.05)
    stored = int(_run(engine, "SELECT count() FROM otel_traces"))
    if stored != items:
        message = f"{stored} spans are stored, not {items}"
        raise RuntimeError(message)
