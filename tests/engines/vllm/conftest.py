"""A modelled API server with the hooks in it, and the journal that it writes."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from otel_llm.engines.vllm.frontend import Frontend
from otel_llm.engines.vllm.frontend_patches import OFFLINE, SERVING, late_patches, patches_of
from otel_llm.facts.request import RequestDelivered
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.patching import PatchSet
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock
from tests.engines.vllm import api_server
from tests.engines.vllm.deliveries import deliveries

Delivered = Callable[[], dict[str, RequestDelivered]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Where this test's journals are."""
    return Settings(journal_dir=str(tmp_path / "journals"), journal_bytes=1 << 20)


@pytest.fixture
def frontend(settings: Settings, clock: FakeClock) -> Iterator[Frontend]:
    """The hooks are in the modelled API server during the test."""

    def open_one(model: str) -> Journal:
        return open_journal(
            kind="frontend",
            service="s",
            engine="vllm",
            engine_version="0",
            model=model,
            settings=settings,
            clock=clock,
        )

    one = Frontend(open_one, clock=clock)
    classes = (api_server.OutputProcessor, api_server.AsyncLLM, api_server.LLMEngine)
    patches = PatchSet(*patches_of(one, *classes))
    assert patches.apply() == []
    yield one
    assert patches.undo() == []
    one.close()


@pytest.fixture
def serving(frontend: Frontend, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hooks of the serving classes and of `LLM`, too."""
    for name in (SERVING, OFFLINE):
        module = ModuleType(name)
        vars(module).update(BaseServing=api_server.BaseServing, LLM=api_server.LLM)
        monkeypatch.setitem(sys.modules, name, module)
    patches = PatchSet(*late_patches(frontend))
    assert patches.apply() == []
    yield
    assert patches.undo() == []


@pytest.fixture
def delivered(settings: Settings) -> Delivered:
    """Everything delivered so far, by request id."""
    return lambda: deliveries(Path(settings.journal_dir))
