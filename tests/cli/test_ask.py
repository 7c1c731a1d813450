"""`otel-llm ask`."""

import json
from typing import TYPE_CHECKING

import pytest

from otel_llm.query.catalogue import questions
from otel_llm.query.service import Objective

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.query.conftest import Snapshot

LONG_AGO = "99999d"
NAMES = sorted(questions(Objective()))
ANSWERED = [name for name in NAMES if name != "chunks"]
"""The sample has no times between chunks."""


def test_without_a_name_all_are_listed(run: "Run", snapshot: "Snapshot") -> None:
    """The list needs no store, and has one line for each question."""
    result = run("ask")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == len(NAMES)
    snapshot("ask.txt", result.stdout)


@pytest.mark.parametrize("name", ANSWERED)
@pytest.mark.parametrize("width", [60, 100])
def test_tables_fit_the_terminal(
    run_on_sample: "Run", monkeypatch: pytest.MonkeyPatch, name: str, width: int
) -> None:
    """A table leaves out columns, never a line, and keeps within the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    arguments = ("ask", name, "--since", LONG_AGO)
    result = run_on_sample(*arguments)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    assert len(lines) == 1 + len(json.loads(run_on_sample(*arguments, "--json").stdout))


@pytest.mark.parametrize("name", ["errors", "latency", "deaths", "kernels", "engines"])
def test_tables(
    run_on_sample: "Run", snapshot: "Snapshot", monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Times have units, shares are percentages, and a single stretch has no name."""
    monkeypatch.setenv("COLUMNS", "160")
    # Rates are over the whole of the window, whose end is now: too small to show.
    result = run_on_sample("ask", name, "--since", LONG_AGO)
    lines = result.stdout.splitlines()
    snapshot(f"ask-{name}.txt", "".join(line.rstrip() + "\n" for line in lines))


def test_stretches_are_named(run_on_sample: "Run") -> None:
    """With --every each line begins with the time of its stretch."""
    result = run_on_sample("ask", "errors", "--since", LONG_AGO, "--every", "1d")
    head, *lines = result.stdout.splitlines()
    assert head.split()[0] == "start"
    assert {line.split()[0] for line in lines} == {"2026-09-21T00:00:00.000Z"}


def test_an_objective(run_on_sample: "Run") -> None:
    """The limits of `slo` are options."""
    arguments = ("ask", "slo", "--since", LONG_AGO, "--tenant", "acme", "--json")
    good = [
        json.loads(run_on_sample(*arguments, *limits).stdout)[0]["good"]
        for limits in ((), ("--ttft", "0.1"), ("--duration", "0.5"), ("--itl", "0.001"))
    ]
    assert good == [2, 1, 1, 0]


def test_nothing_happened(run_on_sample: "Run") -> None:
    """An empty answer says what to try, and in JSON is an empty list."""
    result = run_on_sample("ask", "errors", "--since", "1s")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "otel-llm doctor" in result.stderr
    assert json.loads(run_on_sample("ask", "errors", "--since", "1s", "--json").stdout) == []


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_a_limit_cuts_is_told(run_on_sample: "Run", form: tuple[str, ...]) -> None:
    """Whoever gets fewer lines than there are learns it, and what to do; else nothing is said."""
    arguments = ("ask", "errors", "--since", LONG_AGO, *form)
    whole = run_on_sample(*arguments, "--limit", "3")
    assert (whole.exit_code, whole.stderr) == (0, "")
    cut = run_on_sample(*arguments, "--limit", "2")
    assert (cut.exit_code, cut.stderr) == (0, "Cut at 2 lines. For more: --limit\n")
    if form:
        assert json.loads(cut.stdout) == json.loads(whole.stdout)[:2]


def test_the_end_of_the_window(run_on_sample: "Run") -> None:
    """`--until` leaves out what came after."""
    result = run_on_sample("ask", "errors", "--since", LONG_AGO, "--until", "90000d", "--json")
    assert json.loads(result.stdout) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("weather",), "latency"),
        (("kernels", "--tenant", "acme"), "service"),
        (("deaths", "--every", "1m"), "service"),
        (("errors", "--since", "yesterday"), "15m"),
        (("errors", "--every", "1 min"), "15m"),
        (("slo", "--ttft", "-1"), "ttft"),
        (("errors", "--since", "5m", "--until", "10m"), "10m ago is not after 5m ago"),
        (("errors", "--since", "300s", "--until", "5m"), "--until"),
    ],
)
def test_what_cannot_be_asked(run_on_sample: "Run", arguments: tuple[str, ...], told: str) -> None:
    """An unknown question, or one narrowed by what it knows nothing of, is a usage error."""
    result = run_on_sample("ask", *arguments)
    assert result.exit_code == 2
    assert told in result.stderr


@pytest.mark.parametrize("every", ["30s", "90s"])
@pytest.mark.parametrize("name", ["traffic", "usage"])
def test_parts_of_minutes_are_refused_by_rollups(
    run_on_sample: "Run", name: str, every: str
) -> None:
    """A rollup would answer with stretches that are empty or hold twice as much."""
    result = run_on_sample("ask", name, "--since", LONG_AGO, "--every", every)
    assert result.exit_code == 2
    assert "whole minutes" in result.output
    assert run_on_sample("ask", name, "--since", LONG_AGO, "--every", "2m").exit_code == 0
    assert run_on_sample("ask", "latency", "--since", LONG_AGO, "--every", every).exit_code == 0
