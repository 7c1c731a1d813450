"""Panels' SQL on the embedded store with the sample journeys, as Grafana would send it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.dashboards import boards, macros
from otel_llm.dashboards.build import GENERATED
from otel_llm.dashboards.queries.sql import choice
from otel_llm.query import sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

BASE_S = 1_790_000_000
LOOKED_AT = macros.Range((BASE_S - 60) * 1000, (BASE_S + 600) * 1000, 30, 60)
BOARDS = boards.load(GENERATED)
CHOSEN = {
    "model": ".*", "tenant": ".*", "service": ".*", "stable": "engine-alpha",
    "canary": "engine-beta", "trace": "", "target": "0.99", "ttft_s": "1", "itl_s": "0.2",
    "e2e_s": "0", "price": "0.25", "carbon": "400",
}  # fmt: skip


def statements() -> list[tuple[str, str]]:
    """Every SQL of panels and variables, with its place for the report."""
    found = [
        (f"{name}: {panel['title']}", target["rawSql"])
        for name, board in BOARDS.items()
        for panel in boards.panels(board)
        for target in panel["targets"]
        if "rawSql" in target
    ]
    return found + [
        (f"{name}: ${variable['name']}", variable["query"])
        for name, board in BOARDS.items()
        for variable in board["templating"]["list"]
        if variable["type"] == "query"
    ]


STATEMENTS = statements()
NAMES = [name for name, _ in STATEMENTS]


@pytest.mark.parametrize("text", [text for _, text in STATEMENTS], ids=NAMES)
def test_every_statement_runs(store: "Client", text: str) -> None:
    """No panel's or variable's SQL is refused by the schema."""
    store.query(macros.sql(text, LOOKED_AT, CHOSEN))


def rows(store: "Client", board: str, title: str, **chosen: str) -> list[dict[str, Any]]:
    """The rows of a panel's first query."""
    [panel] = [each for each in boards.panels(BOARDS[board]) if each["title"] == title]
    text = macros.sql(panel["targets"][0]["rawSql"], LOOKED_AT, {**CHOSEN, **chosen})
    return [dict(row) for row in store.query(text).named_results()]


def test_a_chosen_tenant_narrows_the_rows(store: "Client") -> None:
    """All tenants are seen until one is chosen, then that one alone."""
    everyone = rows(store, "requests", "Slowest")
    tenants = {row["tenant"] for row in everyone}
    assert len(tenants) > 1
    for tenant in tenants:
        own = rows(store, "requests", "Slowest", tenant=tenant)
        assert own
        assert own == [row for row in everyone if row["tenant"] == tenant]


@pytest.mark.parametrize("begin", ["x' OR ", "x\\' OR ", "x\\\\' OR ", "x%27 OR ", "x') OR "])
def test_a_choice_cannot_become_sql(store: "Client", begin: str) -> None:
    """Quotes and backslashes in a choice stay in it, and a number that is none is 0."""
    odd = begin + "1 = 1 OR 1 IN (1) --\n"
    assert rows(store, "requests", "Slowest", tenant=odd) == []
    assert rows(store, "slo", "Burn rates", target=odd)
    assert rows(store, "trace", "Took", trace=odd) == []


def test_a_choice_reaches_the_store_as_it_is(store: "Client") -> None:
    """Whatever a tenant is called, its own name is asked for."""
    odd = 'Zoë\'s \\ %41 + (a*b)! "c" .* {d,e} ~\n'
    text = macros.sql(f"SELECT {choice('tenant')}", LOOKED_AT, CHOSEN | {"tenant": odd})
    assert store.query(text).result_rows == [(odd,)]


def test_slowest_comes_first(store: "Client") -> None:
    """The list of slow calls descends."""
    took = [row["e2e_s"] for row in rows(store, "requests", "Slowest")]
    assert took == sorted(took, reverse=True)


def test_failed_calls_alone_are_listed_as_failed(store: "Client") -> None:
    """No finished call is among those that failed."""
    outcomes = {row["outcome"] for row in rows(store, "requests", "Failed or shed")}
    assert outcomes
    assert outcomes <= {"failed", "shed", "gateway_died"}


def test_bad_calls_of_causes_and_attainment_are_the_same(store: "Client") -> None:
    """What burned the budget adds up to what was not good."""
    bad = sum(row["bad"] for row in rows(store, "slo", "By cause, model and tenant"))
    lines = rows(store, "slo", "Attainment by model and tenant")
    assert bad == sum(row["counted"] - row["good"] for row in lines) > 0


def test_burn_rate_is_the_bad_share_over_what_the_target_allows(store: "Client") -> None:
    """At a target of 90 %, bad calls burn ten times their share."""
    last = rows(store, "slo", "Burn rates", target="0.9")[-1]
    lines = rows(store, "slo", "Attainment by model and tenant")
    counted = sum(row["counted"] for row in lines)
    share = sum(row["counted"] - row["good"] for row in lines) / counted
    assert last["burn_6h"] == pytest.approx(share * 10)


def test_a_trace_shows_its_steps_below_its_requests(store: "Client") -> None:
    """Steps hang under the request's span, kernels under their step."""
    [[trace, request]] = store.query(
        "SELECT trace_id, span_id FROM llm_requests WHERE service = 'engine-alpha' "
        "AND trace_id IN (SELECT trace_id FROM llm_gateway_calls) ORDER BY arrival LIMIT 1"
    ).result_rows
    found = rows(store, "trace", "From the call to the kernels", trace=trace)
    steps = [row for row in found if row["operationName"].startswith("step ")]
    assert steps
    assert {row["parentSpanID"] for row in steps} == {request}
    kernels = [row for row in found if row["operationName"].startswith("kernels ")]
    assert {row["parentSpanID"] for row in kernels} <= {row["spanID"] for row in steps}
    ids = [row["spanID"] for row in found]
    assert len(ids) == len(set(ids))


def test_intervals_of_versions_are_those_of_the_textbook(store: "Client") -> None:
    """Wilson's and the normal interval, compared with their formulas on the sample."""
    for row in rows(store, "versions", "Failures"):
        n, p, z = row["requests"], row["failed_ratio"], 1.959964
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5 / (1 + z * z / n)
        assert row["failed_low"] == pytest.approx(max(0, middle - half))
        assert row["failed_high"] == pytest.approx(min(1, middle + half))
    for row in rows(store, "versions", "First token"):
        assert row["ttft_low_s"] <= row["ttft_mean_s"] <= row["ttft_high_s"] or row["timed"] < 2


def test_every_statement_of_boards_is_asked() -> None:
    """No file lies in `sql/boards` that no board uses."""
    root = GENERATED.parent
    code = "".join(path.read_text(encoding="utf-8") for path in root.rglob("*.py"))
    names = [path.stem for path in Path(sql.__path__[0], "boards").glob("*.sql")]
    assert names
    assert [name for name in names if f'"{name}"' not in code] == []


def test_what_a_caller_asked_wrongly_burns_no_budget(store: "Client") -> None:
    """A status that says so is a failed call, and no miss of the objective: so it is for alerts."""
    asked = [("slo", "By cause, model and tenant"), ("slo", "Attainment by model and tenant"),
             ("slo", "Burn rates")]  # fmt: skip
    before = [rows(store, *panel) for panel in asked]
    again = (
        "INSERT INTO llm_gateway_calls SELECT * REPLACE(concat('w', call_id) AS call_id, "
        "'failed' AS outcome, {status:UInt16} AS status_code, 'http' AS error_class, "
        "arrival + INTERVAL 1 MILLISECOND AS finished, NULL AS first_content, "
        "NULL AS last_content) FROM llm_gateway_calls ORDER BY arrival, call_id LIMIT 1"
    )
    store.command(again, parameters={"status": 422})
    assert [rows(store, *panel) for panel in asked] == before
    store.command(again, parameters={"status": 500})
    assert all(now != then for now, then in
               zip([rows(store, *panel) for panel in asked], before, strict=True))  # fmt: skip
