"""The generated boards as JSON: current, valid for Grafana, and consistent in themselves."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.dashboards import boards as reading
from otel_llm.conventions import ALL_METRICS, boards
from otel_llm.conventions.rules import ALL_RECORDED
from otel_llm.dashboards import build

BOARDS = reading.load(build.GENERATED)
UIDS = {
    "otel-llm-overview", "otel-llm-requests", "otel-llm-trace", "otel-llm-engine", "otel-llm-gpu",
    "otel-llm-energy", "otel-llm-slo", "otel-llm-gateway", "otel-llm-versions", "otel-llm-stack",
}  # fmt: skip
"""Published: bookmarks and links of others rest on them."""


def test_committed_boards_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    """`make generate` would change nothing."""
    assert build.main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_a_stale_board_is_named_and_mended(tmp_path: Path) -> None:
    """A board that differs, is missing, or is no more is told, and writing mends all three."""
    build.write(tmp_path)
    assert build.different(tmp_path) == []
    (tmp_path / "overview.json").write_text("{}", encoding="utf-8")
    (tmp_path / "slo.json").unlink()
    (tmp_path / "older.json").write_text("{}", encoding="utf-8")
    assert build.different(tmp_path) == ["older.json", "overview.json", "slo.json"]
    build.write(tmp_path)
    assert build.different(tmp_path) == []


def test_alerts_point_to_boards_that_are() -> None:
    """Alerts take their boards' names from the conventions, so these must be the boards."""
    assert tuple(board.name for board in build.boards()) == boards.BOARDS


def test_uids_never_change() -> None:
    """A board keeps its uid for good."""
    assert {board["uid"] for board in BOARDS.values()} == UIDS


def test_nothing_is_wrong_with_places_variables_and_links() -> None:
    """No panel lies over another, each variable is used, each link leads to a board of ours."""
    assert reading.problems(BOARDS) == []


def test_what_is_wrong_is_found() -> None:
    """The judge of boards sees each of the faults that it is there for."""
    board = json.loads(json.dumps(BOARDS["overview"]))
    panels = reading.panels(board)
    panels[1]["gridPos"] = panels[0]["gridPos"]
    panels[2]["description"] = "means something"
    panels[3]["id"] = panels[4]["id"]
    board["templating"]["list"].append({"name": "unused", "query": ""})
    board["panels"][1]["targets"][0]["rawSql"] += " ${stranger}"
    found = " ".join(reading.problems({"overview": board, "again": BOARDS["overview"]}))
    for what in ("lies over", "does not say", "same id", "unused", "stranger", "twice", "no board"):
        assert what in found, what


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_links_carry_time_and_variables(name: str) -> None:
    """Whoever follows a link looks at the same time, sources and choices there."""
    links = [link["url"] for panel in reading.panels(BOARDS[name]) for link in _links(panel)]
    assert links
    for url in links:
        assert "${__url_time_range}" in url
        assert "${clickhouse:queryparam}&${prometheus:queryparam}" in url


def _links(panel: dict[str, Any]) -> list[dict[str, str]]:
    config = panel["fieldConfig"]
    found = list(config["defaults"].get("links", ()))
    for override in config["overrides"]:
        found += [link for each in override["properties"] if each["id"] == "links"
                  for link in each["value"]]  # fmt: skip
    return found


def test_promql_names_declared_series_alone() -> None:
    """Every series of a panel is a declared metric, one that rules record, or Prometheus' own."""
    known = {"ALERTS", *ALL_RECORDED, *(metric.name for metric in ALL_METRICS)}
    known |= {f"{metric.name}_bucket" for metric in ALL_METRICS if metric.buckets}
    for board in BOARDS.values():
        for panel in reading.panels(board):
            for target in panel["targets"]:
                series = set(_SERIES.findall(_BY.sub("", target.get("expr", ""))))
                assert series <= known, target
                assert series or "expr" not in target, target


_BY = re.compile(r"by \([^)]*\)")
_SERIES = re.compile(r"\((?=[a-zA-Z_:])([\w:]+)(?=[{)\[])")
"""What stands alone in parentheses, before a selector, a window or the end."""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Grafana's models need Python 3.11")
@pytest.mark.parametrize("name", sorted(BOARDS))
def test_grafana_knows_every_key(name: str) -> None:
    """Grafana's own models, made from its schema, read a board and write the same again.

    They drop what the schema does not have, so that a key of our own invention would be missing.
    """
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    known = json.loads(json.dumps(Dashboard.from_json(BOARDS[name]), cls=JSONEncoder))
    assert _missing(BOARDS[name], known) == []


def _missing(ours: Any, theirs: Any, path: str = "") -> list[str]:  # noqa: ANN401  any JSON
    """Where a value of ours is not among theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            what
            for key, value in ours.items()
            for what in (
                _missing(value, theirs[key], f"{path}.{key}")
                if key in theirs
                else [f"{path}.{key}"]
                if value is not None
                else []
            )
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [
            what
            for number, (one, other) in enumerate(zip(ours, theirs, strict=True))
            for what in _missing(one, other, f"{path}[{number}]")
        ]
    return [] if ours == theirs else [f"{path}: {ours!r} is {theirs!r}"]


def test_trace_ids_lead_to_the_trace() -> None:
    """Every column of trace ids has the link, so that a list of calls is a way to what happened."""
    found = 0
    for board in BOARDS.values():
        for panel in reading.panels(board):
            queries = " ".join(target.get("rawSql", "") for target in panel["targets"])
            if panel["type"] != "table" or "trace_id" not in queries.partition("FROM")[0]:
                continue
            assert "var-trace=${__value.raw}" in json.dumps(panel["fieldConfig"]), panel["title"]
            found += 1
    assert found >= 4
