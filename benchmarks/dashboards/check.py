"""Asks every panel of every board, and counts what fails and what stays empty."""

import contextlib
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.dashboards import boards, macros
from benchmarks.dashboards.ask import Answer, Asker
from benchmarks.dashboards.record import Recording
from benchmarks.dashboards.servers import prometheus
from otel_llm.demo.child import Child
from otel_llm.exporters.clickhouse.client import connect

FREE_PORTS = {f"OTEL_LLM_{name}_PORT": "0" for name in ("CLICKHOUSE", "OTLP_HTTP", "OTLP_GRPC")}
_POINTS = 16
_RATE_S = 15
_TRACE = """
SELECT trace_id FROM llm_gateway_calls
WHERE outcome = 'finished' AND arrival < fromUnixTimestamp64Milli({before_ms})
    AND trace_id IN (
        SELECT trace_id FROM llm_requests
        WHERE sample_count = 1 AND (instance_id, request_index) IN (
            SELECT instance_id, arrayJoin(request_index) FROM llm_steps
            WHERE length(request_index) > 1))
ORDER BY attempts DESC, finished - arrival DESC, trace_id LIMIT 1
"""
"""The trace that is looked at: of the demo's calls that shared a step those with most
attempts, of these the longest."""


class Asked(NamedTuple):
    """A panel and its answers.

    Attributes:
        board: name of the board.
        panel: the panel's JSON.
        answers: one per query.
        chosen: values of the variables.
        span_s: the time range that was asked about, in seconds of the epoch.
    """

    board: str
    panel: dict[str, Any]
    answers: tuple[Answer, ...]
    chosen: dict[str, str]
    span_s: tuple[float, float]

    @property
    def name(self) -> str:
        """As the list of panels without data names it."""
        return f"{self.board}: {self.panel['title']}"

    @property
    def errors(self) -> list[str]:
        """What failed."""
        return [answer.error for answer in self.answers if answer.error]

    @property
    def has_data(self) -> bool:
        """Whether a query gave something to see."""
        return any(answer.has_data for answer in self.answers)


@contextlib.contextmanager
def asker(directory: Path, recording: Recording, all_boards: dict[str, Any]) -> Iterator[Asker]:
    """A recording's store and Prometheus, running for the length of a `with` block.

    Args:
        directory: of the recording.
        recording: when it was.
        all_boards: whose variables get values.
    """
    interval = max(1, round((recording.to_ms - recording.from_ms) / 1000 / _POINTS))
    looked_at = macros.Range(recording.from_ms, recording.to_ms, interval, _RATE_S)
    environment = {"OTEL_LLM_DATA_DIR": str(directory / "data"), **FREE_PORTS}
    with contextlib.ExitStack() as running:
        command = [sys.executable, "-m", "otel_llm.cli.main", "up", "--json"]
        up = Child("up-again", command, directory, environment)
        running.callback(up.stop)
        up.ready()
        scraped, url = prometheus(directory / "prometheus", {})
        running.callback(scraped.stop)
        store = running.enter_context(closing(connect(data_dir=str(directory / "data"))))
        yet = Asker(store, url, looked_at)
        trace = yet.sql(_TRACE.format(before_ms=recording.faults_ms)).rows[0][0]
        yet.chosen |= choices(yet, all_boards) | {"trace": str(trace)}
        yield yet


def choices(yet: Asker, all_boards: dict[str, Any]) -> dict[str, str]:
    """A value for each variable: the one that a board begins with, else the first it offers."""
    found: dict[str, str] = {}
    for board in all_boards.values():
        for variable in board["templating"]["list"]:
            name, query = variable["name"], variable["query"]
            if variable["type"] == "query":
                found[name] = str(yet.sql(query).rows[0][0])
            elif variable["type"] == "textbox":
                found[name] = query
    return found


def ask_all(yet: Asker, all_boards: dict[str, Any]) -> list[Asked]:
    """Every panel with its answers."""
    return [
        Asked(
            name, panel, tuple(yet.ask(target) for target in panel["targets"]), yet.chosen,
            yet.span_s,
        )
        for name, board in all_boards.items()
        for panel in boards.panels(board)
    ]  # fmt: skip


def exemplars(yet: Asker, asked: list[Asked]) -> int:
    """How many exemplars stand behind the panels that draw them."""
    texts = {
        target["expr"] for one in asked for target in one.panel["targets"] if target.get("exemplar")
    }
    return sum(yet.exemplars(text) for text in sorted(texts))
