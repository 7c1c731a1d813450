"""Every known escape works on an open ClickHouse and is refused at the door."""

import json
import random
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.exporters.clickhouse.door import Judge
from otel_llm.exporters.clickhouse.door.walk import Limits
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.errors import EngineError
from tests.exporters.clickhouse.door.escapes import CANARY, ESCAPES, PARAMS, Escape

BOUNDS = Limits({"max_execution_time": 30.0, "max_memory_usage": 1e9})
REFUSED = {
    497,  # by the door
    62,  # by the parser
    536,  # a setting that is itself a statement part, which the parser will not print
}

# The grants of the engine's user are a second wall; it does not see these.
ONLY_THE_DOOR = {
    name
    for name in (escape.name for escape in ESCAPES)
    if "scalar file()" in name
    or "OUTFILE" in name
    or name in {"a comment that is none", "a string that is none", "a hash comment"}
    or name == "an alias with a line end"
}


@pytest.fixture(scope="module")
def judge(engine: Engine) -> Judge:
    """The door of the module's engine."""
    return Judge(engine, BOUNDS)


@pytest.fixture(scope="module")
def open_door(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Which escapes work on a ClickHouse without door and grants."""
    report = tmp_path_factory.mktemp("open") / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.exporters.clickhouse.door.open_door", str(report)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=Path(__file__).parents[4],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    worked: dict[str, bool] = json.loads(report.read_text())
    return worked


def filled(escape: Escape, directory: Path) -> str:
    """The statement with paths of this test."""
    secret = directory / "secret"
    secret.write_text(CANARY + "\n")
    secret.with_suffix(".csv").write_text(CANARY + "\n")
    return escape.sql.format(
        secret=secret, csv=secret.with_suffix(".csv"), dir=directory, out=directory / "out", port=9
    )


def test_there_are_many_escapes_and_each_has_its_own_name() -> None:
    """The list is long, and a name stands for one escape."""
    assert len(ESCAPES) >= 200
    assert len({escape.name for escape in ESCAPES}) == len(ESCAPES)


def test_escapes_work_with_the_door_open(open_door: dict[str, bool]) -> None:
    """More than half of the list is shown to work without door, so refusing it means something."""
    assert [name for name, worked in open_door.items() if not worked] == []
    assert len(open_door) >= 110


@pytest.mark.parametrize("escape", ESCAPES, ids=lambda escape: escape.name)
def test_the_door_refuses(escape: Escape, judge: Judge, tmp_path: Path) -> None:
    """No escape passes, and the answer is an error of the door or of the parser."""
    with pytest.raises(EngineError) as refused:
        judge.judge(
            filled(escape, tmp_path), "otel", {**PARAMS, "name": str(tmp_path / "secret.csv")}
        )
    assert refused.value.code in REFUSED, str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "escape",
    [
        each
        for each in ESCAPES
        if each.shows in ("canary", "out") and each.name not in ONLY_THE_DOOR
    ],
    ids=lambda escape: escape.name,
)
def test_the_second_wall_refuses(escape: Escape, engine: Engine, tmp_path: Path) -> None:
    """Past the door, the grants of the engine's user still keep files and sockets away."""
    with engine.session() as handle:
        try:
            result = handle.run(filled(escape, tmp_path))
        except EngineError:
            result = b""
    assert CANARY.encode() not in result
    assert not (tmp_path / "out").exists()


def test_expressions_in_inserted_values_are_not_evaluated(engine: Engine, tmp_path: Path) -> None:
    """The Values format reads literals only: `VALUES (file('…'))` is no way to a file."""
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    with engine.session() as handle:
        handle.run("CREATE TABLE IF NOT EXISTS v (a String) ENGINE = MergeTree ORDER BY a")
        with pytest.raises(EngineError):
            handle.insert("INSERT INTO v", "Values", f"(file('{secret}'))".encode())
        assert handle.run("SELECT count() FROM v") == b"0\n"
        handle.set({"input_format_values_interpret_expressions": "1"})
        handle.insert("INSERT INTO v", "Values", f"(file('{secret}'))".encode())
        assert CANARY.encode() in handle.run("SELECT a FROM v"), "not what this test guards against"
        handle.run("DROP TABLE v")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format_schema", "/etc/passwd:x"),
        ("format_template_row", "/etc/passwd"),
        ("format_avro_schema_registry_url", "http://127.0.0.1/"),
        ("input_format_values_interpret_expressions", "1"),
        ("output_format_schema", "x"),
        ("allow_introspection_functions", "1"),
        ("readonly", "0"),
        ("no_such_setting", "1"),
        ("Max_Execution_Time", "0"),
        ("max_threads = 1, readonly", "0"),
    ],
)
def test_settings_from_outside_are_refused(judge: Judge, name: str, value: str) -> None:
    """A setting that names a file or an address, or is unknown, is refused."""
    with pytest.raises(EngineError) as refused:
        judge.setting(name, value)
    assert refused.value.code == 497


@pytest.mark.parametrize("value", ["0", "-1", "31", "1e9", "inf", "nan", "", "1; SELECT 1"])
def test_bounds_hold_whatever_is_asked_from_outside(judge: Judge, value: str) -> None:
    """A bound that is lifted or widened by the URL counts as the bound; a tighter one counts."""
    assert judge.setting("max_execution_time", value) == "30"
    assert judge.setting("max_execution_time", "2.5") == "2.5"


ALONE = [each for each in ESCAPES if each.shows == "canary" and "file" in each.sql.lower()]


@settings(max_examples=60, deadline=None)
@given(
    escape=st.sampled_from(ALONE),
    seed=st.integers(0, 1 << 32),
    wrap=st.sampled_from(
        [
            "{}",
            "SELECT * FROM ({})",
            "WITH w AS ({}) SELECT * FROM w",
            "EXPLAIN {}",
            "EXPLAIN AST {}",
            "SELECT 1 UNION ALL {}",
            "INSERT INTO otel_traces_trace_id_ts {}",
            "CREATE VIEW hyp AS {}",
            "CREATE MATERIALIZED VIEW hyp TO otel_traces_trace_id_ts AS {}",
            "SELECT (SELECT * FROM ({}) LIMIT 1)",
            "SELECT * FROM numbers(1) WHERE toString(number) IN ({})",
        ]
    ),
)
def test_disguised_escapes_are_refused(
    judge: Judge, tmp_path_factory: pytest.TempPathFactory, escape: Escape, seed: int, wrap: str
) -> None:
    """Wrapped, spaced, commented and with its letters' case changed, an escape stays refused."""
    sql = wrap.format(filled(escape, tmp_path_factory.getbasetemp()))
    with pytest.raises(EngineError):
        judge.judge(disguise(sql, random.Random(seed)), "otel", {})


def disguise(sql: str, chance: random.Random) -> str:
    """Change blanks and the case of letters outside quotes."""
    out: list[str] = []
    quote = ""
    for char in sql:
        if quote:
            quote = "" if char == quote else quote
            out.append(char)
        elif char in "'\"`":
            quote = char
            out.append(char)
        elif char == " ":
            out.append(chance.choice([" ", "\n", "\t", " /* ' */ ", " -- \n", "\u00a0"]))
        else:
            letter = char in string.ascii_letters
            out.append(char.swapcase() if letter and chance.random() < 0.2 else char)
    return "".join(out)
