"""What the door lets through."""

import time

import pytest

from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.door import Judge, policy
from otel_llm.exporters.clickhouse.door import judge as judging
from otel_llm.exporters.clickhouse.door.functions import FunctionTable
from otel_llm.exporters.clickhouse.door.walk import Limits
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.errors import EngineError

ALLOWED = (
    "SELECT 1",
    "SELECT a, b.c, count() FROM t AS x JOIN u USING (id) LEFT JOIN v ON x.a = v.b"
    " ARRAY JOIN arr AS z PREWHERE 1 WHERE a IN (1, 2) AND b BETWEEN 1 AND 2 AND c NOT LIKE 'x'"
    " GROUP BY a WITH TOTALS HAVING count() > 1 ORDER BY a DESC NULLS LAST LIMIT 1 BY a LIMIT 3",
    "SELECT * EXCEPT (a) REPLACE (b + 1 AS b), COLUMNS('x') APPLY(sum), t.* FROM t FINAL",
    "SELECT sum(a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND CURRENT ROW),"
    " rank() OVER w, lagInFrame(a) OVER w FROM t WINDOW w AS (ORDER BY a)",
    "WITH x AS (SELECT 1), 2 AS y SELECT * FROM x UNION DISTINCT SELECT 3 INTERSECT SELECT 4",
    "SELECT CASE WHEN a THEN b ELSE c END, a ? b : c, a::Int32, CAST(a AS String),"
    " date '2020-01-01', INTERVAL 1 DAY, EXTRACT(YEAR FROM d), [1, 2][1], (1, 2).1, x -> x + 1,"
    " NOT a, -a, a IS NULL, EXISTS(SELECT 1), a = ANY(SELECT 1) FROM t",
    "SELECT {a:UInt8}, {t:Array(String)} FROM {tt:Identifier} FORMAT JSON SETTINGS max_threads = 1",
    "SELECT quantile(0.9)(x), quantilesIf(0.5, 0.9)(x, y), sumMap(m), uniqExact(a), argMax(a, b),"
    " countIf(a), avgOrNull(b), groupArray(10)(a), sumArrayIf(a, b) FROM t",
    "SELECT arrayMap((x, y) -> x + y, a, b), mapKeys(m), m['x'], JSONExtractString(j, 'a') FROM t",
    "SELECT a FROM s.t ASOF JOIN u ON t.a = u.a AND t.b >= u.b",
    "SELECT * FROM (SELECT 1) AS x, numbers(3) AS n, values('a Int8', 1), view(SELECT 1)",
    "SELECT * FROM values((1, 'a'), (2, 'b')), values(1, 2),"
    " values('a DateTime64(3, \\'UTC\\'), b Map(String, Array(Int8)), c String', (1, map(), 'x'))",
    "SELECT arrayMap(toString, a), arraySort(xs), t.file, t.tid FROM t",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
    "SELECT (1), ((a)), count(('x')), if((b), (2), 3) FROM t WHERE (a) = (1) AND ((b)) > (0)",
    "SELECT a FROM (SELECT (1) AS a) WHERE (((a = 1)))",
    "SELECT a FROM values('a UInt8', (1), (2))",
    "SELECT name, value, readonly FROM system.settings LIMIT 10000",
    "SELECT * FROM system.tables WHERE database = currentDatabase()",
    "SELECT * FROM information_schema.tables",
    "INSERT INTO t SELECT a FROM u",
    "INSERT INTO t (a, b) SETTINGS insert_deduplication_token = 'x' FORMAT JSONEachRow",
    "INSERT INTO otel.t (`a`, `b`) FORMAT Native",
    "CREATE DATABASE IF NOT EXISTS x",
    "CREATE TABLE IF NOT EXISTS t (a Int8, b String DEFAULT toString(a)) ENGINE = MergeTree"
    " ORDER BY a TTL toDateTime(a) + INTERVAL 1 DAY SETTINGS index_granularity = 8192",
    "CREATE VIEW IF NOT EXISTS v AS SELECT 1",
    "ALTER TABLE t ADD COLUMN a Int8 AFTER b, ADD INDEX i a TYPE minmax GRANULARITY 1",
    "EXPLAIN indexes = 1 SELECT 1",
    "EXPLAIN PIPELINE graph = 1 SELECT 1",
    "EXPLAIN SYNTAX SELECT 1",
    "SHOW TABLES",
    "SHOW TABLES FROM otel LIKE 'llm%'",
    "SHOW DATABASES",
    "SHOW FULL COLUMNS FROM t",
    "SHOW CREATE TABLE otel.t",
    "DESCRIBE TABLE otel.t",
    "DESC t FORMAT JSON",
    "EXISTS TABLE t",
    "EXISTS DATABASE x",
)


@pytest.fixture(scope="module")
def judge(engine: Engine) -> Judge:
    """The door of the module's engine."""
    return Judge(engine, Limits({"max_execution_time": 30.0}))


@pytest.mark.parametrize("sql", ALLOWED)
def test_ordinary_statements_pass(judge: Judge, sql: str) -> None:
    """What clients, dashboards and the schema need is let through."""
    judge.judge(sql, "otel", {"tt": "llm_steps", "a": "1", "t": "[]"})


@pytest.mark.parametrize("statement", schema.statements(), ids=lambda statement: statement.name)
def test_the_schema_passes(judge: Judge, statement: schema.Statement) -> None:
    """`schema apply` works over the interface too."""
    judge.judge(statement.sql, "otel", {})


def test_the_format_of_a_statement_is_told(judge: Judge) -> None:
    """The interface learns the format from the parsed form, not from the text."""
    assert judge.judge("SELECT 'FORMAT CSV' FORMAT JSON", "otel", {}).format == "JSON"
    assert judge.judge("SELECT 'FORMAT CSV' -- FORMAT JSON", "otel", {}).format is None
    assert judge.judge("SHOW TABLES FORMAT JSON", "otel", {}).format == "JSON"


def test_a_bound_may_be_tightened(judge: Judge) -> None:
    """A caller may ask for less time than it is given."""
    judge.judge("SELECT 1 SETTINGS max_execution_time = 5", "otel", {})


def test_unqualified_names_mean_the_current_database(judge: Judge) -> None:
    """With `system` as current database its forbidden tables stay forbidden."""
    judge.judge("SELECT * FROM tables", "system", {})
    with pytest.raises(EngineError, match=r"system\.processes"):
        judge.judge("SELECT * FROM processes", "system", {})


def test_a_name_given_as_parameter_is_judged(judge: Judge) -> None:
    """The same statement passes or fails by the value of its Identifier parameter."""
    sql = "SELECT * FROM {d:Identifier}.{t:Identifier}"
    judge.judge(sql, "otel", {"d": "system", "t": "one"})
    with pytest.raises(EngineError, match=r"system\.processes"):
        judge.judge(sql, "otel", {"d": "system", "t": "processes"})


def test_syntax_errors_keep_the_engine_s_words(judge: Judge) -> None:
    """A typing mistake gets ClickHouse's message and number, without the door's own query."""
    with pytest.raises(EngineError) as error:
        judge.judge("SELEC 1", "otel", {})
    assert error.value.code == 62
    assert "parseQueryToJSON" not in str(error.value)


def test_a_new_database_is_atomic(judge: Judge, engine: Engine) -> None:
    """CREATE DATABASE makes one whose tables are tables, not the working directory's files."""
    judge.judge("CREATE DATABASE fresh", "otel", {})
    with engine.session() as handle:
        handle.run("CREATE DATABASE fresh")
        asked = "SELECT engine FROM system.databases WHERE name = 'fresh'"
        assert handle.run(asked) == b"Atomic\n"


def test_an_insert_is_printed_by_the_engine(judge: Judge) -> None:
    """What runs is the engine's print of what was judged, reading the request's data."""
    printed = judge.judge_insert(
        "INSERT INTO `llm_steps` (`a`) SETTINGS max_threads = 1 -- x", "CSV", "otel", {}
    )
    assert " ".join(printed.split()) == (
        "INSERT INTO llm_steps (a) FROM INFILE '/proc/self/fd/incoming' COMPRESSION 'none'"
        " SETTINGS max_threads = 1 FORMAT CSV"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t FROM INFILE '/etc/passwd'",
        "INSERT INTO t SETTINGS log_comment = '/proc/self/fd/incoming'",
        "INSERT INTO FUNCTION file('x')",
        "SELECT 1",
    ],
)
def test_an_insert_reads_nothing_but_its_data(judge: Judge, statement: str) -> None:
    """A statement that names a file of its own, or is none, is refused."""
    with pytest.raises(EngineError) as refused:
        judge.judge_insert(statement, "CSV", "otel", {})
    assert refused.value.code == 497


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {d:Identifier}.{t:Identifier} SELECT 1",
        "INSERT INTO {t:Identifier} SELECT 1",
        "CREATE TABLE {d:Identifier}.x (a Int8) ENGINE = MergeTree ORDER BY a",
        "CREATE DATABASE {d:Identifier}",
        "ALTER TABLE {d:Identifier}.{t:Identifier} ADD COLUMN a Int8",
    ],
)
def test_what_is_changed_is_named_in_the_statement(judge: Judge, sql: str) -> None:
    """A parameter cannot choose the table or database that a statement changes."""
    with pytest.raises(EngineError) as refused:
        judge.judge(sql, "otel", {"d": "system", "t": "one"})
    assert refused.value.code == 497


def test_a_name_given_as_parameter_is_a_plain_name(judge: Judge) -> None:
    """Quotes, dots and blanks in a name's parameter are refused."""
    judge.judge("SELECT {c:Identifier} FROM t", "otel", {"c": "plain_1"})
    for value in ("a b", "a`b", "a.b", "", "file('x')"):
        with pytest.raises(EngineError, match="letters, digits"):
            judge.judge("SELECT {c:Identifier} FROM t", "otel", {"c": value})


def test_a_tree_that_does_not_say_all_is_refused(
    judge: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the tree, printed back, is not the statement, nobody knows what was left out."""
    run = Judge._run

    def leaving_out(self: Judge, sql: str) -> bytes:
        return run(self, sql).replace(b'"SELECT 41 + 1"]', b'"SELECT 41"]')

    monkeypatch.setattr(Judge, "_run", leaving_out)
    with pytest.raises(EngineError, match="parts that cannot be checked"):
        judge.judge("SELECT 41 + 1", "otel", {})


def test_no_column_of_the_store_has_the_name_of_a_forbidden_function(engine: Engine) -> None:
    """A bare name of one of our columns is never refused as a function's."""
    ask = (
        "SELECT name FROM system.columns WHERE database IN ('otel', 'information_schema')"
        " OR (database = 'system' AND table IN ({tables:Array(String)}))"
    )
    tables = "[" + ",".join(f"'{name}'" for name in sorted(policy.SYSTEM_TABLES)) + "]"
    with engine.session() as handle:
        names = set(handle.run(ask, "TSV", {"tables": tables}).decode().split())
        functions = FunctionTable.read(handle)
    assert {"TraceId", "arrival", "create_table_query"} <= names
    assert [name for name in names if functions.forbids(name)] == []
    assert functions.forbids("file")
    assert functions.forbids("FILE")


def test_a_bare_name_of_a_forbidden_function_must_be_qualified(judge: Judge) -> None:
    """The refusal says how to name a column of that name; a parameter's value counts too."""
    with pytest.raises(EngineError, match=r"put its table before it: t\.tid"):
        judge.judge("SELECT tid FROM t", "otel", {})
    judge.judge("SELECT {c:Identifier} FROM t", "otel", {"c": "plain"})
    with pytest.raises(EngineError, match="function file"):
        judge.judge("SELECT {c:Identifier} FROM t", "otel", {"c": "file"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT 'a(b'", "SELECT 'ab'"),
        ("SELECT 'it\\'s (x)'", "SELECT 'it\\'s x'"),
        ("SELECT `a(b`", "SELECT `ab`"),
        ("SELECT a, b", "SELECT a b"),
        ("SELECT ab", "SELECT a b"),
        ("SELECT a - b", "SELECT a b"),
        ("SELECT 1 LIMIT 1", "SELECT 1"),
    ],
)
def test_prints_that_differ_in_more_than_parentheses_differ(one: str, other: str) -> None:
    """What stands in quotes counts, and so does everything that is no parenthesis."""
    assert judging._tokens(one) != judging._tokens(other)


@pytest.mark.parametrize(
    "text", ["SELECT (file('/etc/passwd'))", "SELECT ((tid))", "SELECT (a) FROM ((file('x')))",
             "SELECT (a) FROM t INTO OUTFILE 'x'"],
)  # fmt: skip
def test_parentheses_hide_nothing(judge: Judge, text: str) -> None:
    """What may not be called may not be called in parentheses."""
    with pytest.raises(EngineError):
        judge.judge(text, "otel", {})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT " + "abs(" * 400 + "1" + ")" * 400,
        "SELECT * FROM (" * 60 + "SELECT 1" + ")" * 60,
        "SELECT sum" + "If" * 2000 + "(1)",
        "INSERT INTO t SELECT " + "abs(" * 400 + "1" + ")" * 400,
    ],
)
def test_what_is_nested_too_deeply_is_not_judged(judge: Judge, sql: str) -> None:
    """The caller gets ClickHouse's error for it, and the statement does not run."""
    with pytest.raises(EngineError, match="nested too deeply") as error:
        judge.judge(sql, "otel", {})
    assert error.value.code == 306


def test_a_structure_of_many_parentheses_is_judged_at_once(judge: Judge) -> None:
    """Types twenty deep pass; a text of parentheses is not gone through once for each of them."""
    judge.judge(f"SELECT * FROM values('a {'Array(' * 15}Int8{')' * 15}', [])", "otel", {})
    started = time.process_time()
    with pytest.raises(EngineError, match="structure"):
        judge.judge(f"SELECT * FROM values('a T{'(' * 60_000}{')' * 60_000}', 1)", "otel", {})
    assert time.process_time() - started < 5
