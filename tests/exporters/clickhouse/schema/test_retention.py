"""How long tables keep their rows: read, applied, compared, and in effect."""

import re
from collections.abc import Iterator
from contextlib import closing
from fnmatch import fnmatch
from itertools import count
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.errors import SettingError, StoreError
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.schema import Lifetime
from tests.waiting import until

_NUMBERS = count()
DOCS = Path(__file__).parents[4] / "docs" / "schema.md"
TABLES = [lifetime.table for lifetime in schema.lifetimes()]


@pytest.fixture
def fresh(engine: Engine) -> Iterator[Client]:
    """A client of a database of its own with the schema applied."""
    with closing(engine.client()) as client:
        name = f"retention{next(_NUMBERS)}"
        client.command(f"CREATE DATABASE {name}")
        client.database = name
        schema.apply(client)
        yield client


def test_every_table_has_a_lifetime() -> None:
    """No table grows for ever because nobody thought of it; a view has nothing to keep."""
    made = [statement.creates for statement in schema.statements()]
    assert [each[1] for each in made if each and each[0] == "TABLE"] == TABLES
    assert all(lifetime.seconds for lifetime in schema.lifetimes())


@pytest.mark.parametrize(
    ("entry", "seconds"),
    [("llm_steps=3d", 259_200), ("llm_steps = 36h", 129_600), ("llm_steps=90s", 90),
     ("llm_steps=0", 0), ("*=2d", 172_800)],
)  # fmt: skip
def test_entries(entry: str, seconds: int) -> None:
    """Days, hours and seconds; 0 is for ever; a star names all tables."""
    chosen = {lifetime.table: lifetime.seconds for lifetime in schema.wanted([entry])}
    assert chosen["llm_steps"] == seconds
    other = {each.table: each.seconds for each in schema.lifetimes()}["otel_logs"]
    assert chosen["otel_logs"] == (seconds if "*" in entry else other)


@pytest.mark.parametrize(
    "entry",
    ["", "llm_steps", "llm_steps=", "llm_steps=3", "llm_steps=-3d", "llm_steps=1.5d", "nobody=3d",
     "llm_steps=3d; DROP TABLE x", "llm_steps=999999d", "otel_traces_trace_id_ts_mv=3d"],
)  # fmt: skip
def test_what_is_no_entry(entry: str) -> None:
    """Each is refused with the setting's name."""
    with pytest.raises(SettingError, match=r"^retention: "):
        schema.wanted([entry])


@given(
    st.lists(
        st.tuples(st.sampled_from([*TABLES, "*"]), st.integers(0, 9999), st.sampled_from("shd"))
    )
)
def test_the_last_entry_counts(entries: list[tuple[str, int, str]]) -> None:
    """Whatever came before it: the age of a table is that of the last entry that names it."""
    chosen = schema.wanted([f"{table}={number}{unit}" for table, number, unit in entries])
    expected = {lifetime.table: lifetime.seconds for lifetime in schema.lifetimes()}
    for table, number, unit in entries:
        seconds = number * {"s": 1, "h": 3600, "d": 86_400}[unit]
        expected.update(dict.fromkeys(TABLES if table == "*" else [table], seconds))
    assert {lifetime.table: lifetime.seconds for lifetime in chosen} == expected


def test_applying_changes_what_differs_and_no_more(fresh: Client) -> None:
    """The first run sets all, the second none, a changed setting its own table, `*=0` all."""
    assert schema.apply_retention(fresh, ()) == schema.lifetimes()
    assert schema.apply_retention(fresh, ()) == ()
    [changed] = schema.apply_retention(fresh, ["llm_kernels=90000s"])
    assert changed == Lifetime("llm_kernels", "toDateTime(start)", 90_000)
    assert "TTL toDateTime(start) + toIntervalSecond(90000)" in str(
        fresh.command("SHOW CREATE TABLE llm_kernels")
    )
    assert schema.outdated(fresh, schema.wanted(["llm_kernels=25h"])) == ()
    assert len(schema.apply_retention(fresh, ["*=0"])) == len(TABLES)
    assert "TTL " not in str(fresh.command("SHOW CREATE TABLE llm_kernels")).replace("_ttl", "")


def test_old_rows_go_and_new_ones_stay(fresh: Client) -> None:
    """Rows that were there before the setting are dropped too, in whole parts."""
    times = "toDateTime64(now() - toIntervalDay(number), 9, 'UTC')"
    fresh.command(f"INSERT INTO llm_kernels (start) SELECT {times} FROM numbers(10)")
    schema.apply_retention(fresh, ["*=0", "llm_kernels=4d"])
    fresh.command("OPTIMIZE TABLE llm_kernels FINAL")
    until(lambda: _days(fresh) <= 5)
    assert _days(fresh) >= 4


def _days(client: Client) -> int:
    return int(str(client.command("SELECT uniqExact(toDate(start)) FROM llm_kernels")))


def test_the_docs_name_every_table_and_its_days() -> None:
    """docs/schema.md says of each table how long its rows stay."""
    rows = re.findall(r"^\| (`.*`) \| (\d+) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    told = [
        (pattern, int(days)) for names, days in rows for pattern in re.findall(r"`(.*?)`", names)
    ]
    for lifetime in schema.lifetimes():
        found = [days for pattern, days in told if fnmatch(lifetime.table, pattern)]
        assert found == [lifetime.seconds // 86_400], lifetime.table


def test_a_refusal_names_the_table(fresh: Client) -> None:
    """A store that will not change a table says which."""
    fresh.command("DROP TABLE otel_logs")
    with pytest.raises(StoreError, match="How long otel_logs keeps its rows could not be set"):
        schema.apply_retention(fresh, ())
