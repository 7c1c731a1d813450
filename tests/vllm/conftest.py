"""Servers shared by the tests of a module; there is never more than one at a time."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from tests.vllm.harness import Site

CLI_VARIABLE = "TEST_VLLM"
Tell = Callable[[str], None]
_TOLD = pytest.StashKey[list[str]]()


@pytest.fixture
def tell(pytestconfig: pytest.Config) -> Tell:
    """Keeps a line for the end of the run, where it is shown whether the test passed or not."""
    return pytestconfig.stash.setdefault(_TOLD, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests told."""
    if lines := terminalreporter.config.stash.get(_TOLD, []):
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)


class Serving(Protocol):
    """Starts a site; stops it at the end of the context."""

    def __call__(
        self,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        native_tracing: bool = False,
    ) -> AbstractContextManager[Site]:
        """Start a site."""
        ...


@pytest.fixture(scope="session")
def vllm_cli() -> Path:
    """The program `vllm`, in an environment that has otel-llm too."""
    cli = shutil.which(os.environ.get(CLI_VARIABLE, "vllm"))
    assert cli, f"{CLI_VARIABLE} names no program: set it to ENV/bin/vllm, or use `make test-vllm`"
    return Path(cli).absolute()


@pytest.fixture(scope="module")
def serving(vllm_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Serving:
    """Starts a site of a real vLLM."""

    @contextmanager
    def serve(
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        native_tracing: bool = False,
    ) -> Iterator[Site]:
        work_dir = tmp_path_factory.mktemp("site")
        site = Site(work_dir, vllm_cli, options, environment, native_tracing)
        try:
            site.start()
            yield site
        finally:
            site.stop()
            shutil.rmtree(site.journal_dir, ignore_errors=True)

    return serve
