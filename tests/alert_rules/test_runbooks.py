"""Every alert has its runbook, and runbooks say what is there."""

import re
from typing import TYPE_CHECKING

import pytest
import typer
from click import Context, Group

from otel_llm.alert_rules import build, expression, pages
from otel_llm.cli.main import app
from otel_llm.conventions import Tables
from otel_llm.query.catalogue import questions
from otel_llm.query.service import Objective
from otel_llm.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = build.groups(build.load())
ALERTS = sorted({rule.name for rule in build.alerts(GROUPS)})
RECORDED = {rule.name for parts in GROUPS.values() for group in parts for rule in group.rules}
PAGES = sorted(pages.RUNBOOKS.glob("*.md"))
COLUMNS = {Tables.STEP_KERNELS.name, *Tables.STEP_KERNELS.column_names}
SECTIONS = [
    "Meaning", "Impact", "Confirm", "Likely causes, most likely first", "What to do", "Prevent",
]  # fmt: skip
COMMANDS = {"alerts", "ask", "devices", "doctor", "kernels", "requests", "schema", "trace", "up"}


def test_one_page_for_each_alert() -> None:
    """An alert without a page fails here, and so does a page whose alert is gone."""
    assert [page.stem for page in PAGES] == sorted([*ALERTS, *pages.GENERAL.values()])


@pytest.mark.parametrize(
    ("alert", "page"),
    [
        ("TtftCallerBurn", "TtftCallerBurn"), ("TtftCallerNoData", "TtftCallerNoData"),
        ("AnsweredBurn", "ObjectiveBurn"), ("AnsweredNoData", "ObjectiveNoData"),
        ("GpuLost", "GpuLost"),
    ],
)  # fmt: skip
def test_every_alert_leads_to_a_page(alert: str, page: str) -> None:
    """An objective of one's own shares a page, so that the command in its alerts prints one."""
    assert pages.page(alert) == page
    told = pages.annotations(alert, "slo", pages.Addresses("https://r"))
    assert told["runbook"] == f"otel-llm alerts runbook {page}"
    assert told["runbook_url"] == f"https://r/{page}.md"
    assert pages.runbook(page).startswith(f"# {page}\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page(page: "Path") -> None:
    """It has all parts, none empty; its commands, questions, settings and series exist."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n")
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    assert parts[1::2] == SECTIONS
    assert all(part.strip() for part in parts[2::2])
    for command, argument in re.findall(r"`otel-llm ([a-z]+) ?([a-z-]*)", text):
        assert command in COMMANDS
        if command == "ask":
            assert argument in questions(Objective())
        if command == "kernels":
            assert argument in {"top", "import"}
    for query in re.findall(r"Prometheus: `([^`]*)`", text):
        assert expression.problem(query, RECORDED) is None, query
    for name in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", text):
        foreign = {"max_num_seqs", "status_code", "background_pool_size"}
        known = {*Settings.__struct_fields__, *foreign, *COLUMNS}
        assert name in known or expression.problem(name, RECORDED) is None, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_in_a_page_have_their_options(page: "Path") -> None:
    """Whoever copies a command at night is not told of an option that is gone."""
    for line in re.findall(r"`otel-llm ([^`]+)`", page.read_text(encoding="utf-8")):
        command, words = typer.main.get_command(app), line.split()
        while isinstance(command, Group) and words:
            found = command.get_command(Context(command), words.pop(0))
            assert found is not None, line
            command = found
        command.make_parser(Context(command)).parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_alerts_named_in_a_page_exist(page: "Path") -> None:
    """Whoever follows from one page to another arrives."""
    named = re.findall(
        r"\b(?:Gpu|Engine|Steps|Queue|Kv|Calls|All|Breaker|Store|Agent)[A-Z]\w+", page.read_text()
    )
    assert set(named) <= {*ALERTS}, set(named) - {*ALERTS}


def test_causes_name_alerts_that_exist() -> None:
    """The cause that an alert suggests can be looked up."""
    for rule in build.alerts(GROUPS):
        for name in re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", rule.annotations["cause"]):
            assert name in {*ALERTS, "ClickHouse"}, (rule.name, name)
