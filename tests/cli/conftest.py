"""The program in this process, on a store that holds the sample journeys."""

import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from typer.testing import CliRunner, Result

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_QUERY = Path(__file__).parents[1] / "query"
store = runpy.run_path(str(_QUERY / "sample.py"))["store"]
snapshot = runpy.run_path(str(_QUERY / "conftest.py"))["snapshot"]


class Run(Protocol):
    """Runs the program with some arguments."""

    def __call__(self, *arguments: str) -> Result:
        """Run it."""


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the developer's own, and every directory in this test's own."""
    import os

    for name in [name for name in os.environ if name.startswith("OTEL_LLM_")]:
        monkeypatch.delenv(name)
    for name in ("journal_dir", "state_dir", "data_dir"):
        monkeypatch.setenv(f"OTEL_LLM_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(clean_environment: None) -> Run:  # noqa: ARG001  settings first
    """Run the program in this process."""

    def invoke(*arguments: str) -> Result:
        from otel_llm.cli.main import app

        return CliRunner().invoke(app, list(arguments))

    return invoke


@pytest.fixture
def run_on_sample(run: Run, store: "Client", monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the program; questions go to the sample's store."""
    from otel_llm.cli import ask, requests, schema, trace

    @contextmanager
    def sample(url: str | None, data_dir: str | None) -> Iterator["Client"]:  # noqa: ARG001
        yield store

    for command in (ask, requests, schema, trace):
        monkeypatch.setattr(command, "store", sample)
    return run
