"""All hooks put in and taken out, and what is said of those that do not fit."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from otel_llm.engines.vllm import package
from otel_llm.engines.vllm.frontend_patches import OFFLINE, SERVING
from otel_llm.engines.vllm.instrument import instrument, uninstrument
from otel_llm.journal import directory
from otel_llm.journal.reader import JournalReader
from otel_llm.testing import Swallowed
from tests.engines.vllm import api_server
from tests.engines.vllm.api_server import Output
from tests.engines.vllm.deliveries import deliveries

MODULES: dict[str, dict[str, type]] = {
    "vllm.v1.engine.output_processor": {"OutputProcessor": api_server.OutputProcessor},
    "vllm.v1.engine.async_llm": {"AsyncLLM": api_server.AsyncLLM},
    "vllm.v1.engine.llm_engine": {"LLMEngine": api_server.LLMEngine},
}
LATE: dict[str, dict[str, type]] = {
    SERVING: {"BaseServing": api_server.BaseServing},
    OFFLINE: {"LLM": api_server.LLM},
}


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, dict[str, type]]], None]:
    """Puts modules of a modelled vLLM where imports find them."""

    def put_all(modules: dict[str, dict[str, type]]) -> None:
        for name, content in modules.items():
            parts = name.split(".")
            for end in range(1, len(parts)):
                package_name = ".".join(parts[:end])
                if package_name not in sys.modules:
                    package_module = ModuleType(package_name)
                    package_module.__path__ = []
                    monkeypatch.setitem(sys.modules, package_name, package_module)
            module = ModuleType(name)
            vars(module).update(content)
            monkeypatch.setitem(sys.modules, name, module)

    return put_all


@pytest.fixture(autouse=True)
def journal_dir(
    put: Callable[[dict[str, dict[str, type]]], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """An API server of vLLM 0.32, without an engine core. Its journals are in the path."""
    monkeypatch.setattr(package, "installed_version", lambda: "0.32.0")
    monkeypatch.delenv("VLLM_USE_RUST_FRONTEND", raising=False)
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "journals"))
    monkeypatch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
    put(MODULES)
    yield tmp_path / "journals"
    uninstrument()


def live(name: str = "0") -> None:
    """One request of an engine of its own."""
    engine = api_server.LLMEngine()
    engine.add_request(name, None, None)
    engine.output_processor.process_outputs([Output(f"{name}-0f", [1], "stop")])


def originals() -> list[object]:
    """What stands in the modelled classes."""
    owners = [one for module in (*MODULES.values(), *LATE.values()) for one in module.values()]
    return [value for owner in owners for value in vars(owner).values()]


def test_in_and_out(put: Callable[[dict[str, dict[str, type]]], None], journal_dir: Path) -> None:
    """In twice is in once; out, every original is back; in again leaves one set of facts."""
    put(LATE)
    before = originals()
    instrument()
    during = originals()
    assert during != before
    instrument()
    assert originals() == during
    live("0")
    assert uninstrument() == []
    assert [one is other for one, other in zip(originals(), before, strict=True)].count(False) == 0
    live("1")
    instrument()
    live("2")
    assert uninstrument() == []
    assert set(deliveries(journal_dir)) == {"0-0f", "2-0f"}
    for path in directory.scan(journal_dir):
        reader = JournalReader.open(path)
        assert reader.counters.clean_close
        reader.close()


def test_a_part_that_is_not_there(journal_dir: Path) -> None:
    """Without the engine core's classes the API server is followed all the same, and it is said."""
    left_out = instrument()
    assert left_out[0].startswith("vllm.core: No module named 'vllm.v1.core'")
    assert left_out[1].startswith("vllm.devices: No module named 'vllm.v1.executor'")
    live()
    (path,) = directory.scan(journal_dir)
    reader = JournalReader.open(path)
    assert reader.producer.left_out == left_out
    assert (reader.producer.engine, reader.producer.engine_version) == ("vllm", "0.32.0")
    reader.close()
    assert set(deliveries(journal_dir)) == {"0-0f"}


def test_a_class_of_another_form(
    put: Callable[[dict[str, dict[str, type]]], None],
) -> None:
    """A hook whose method is gone, or takes other arguments, is left out whole; the rest is in."""

    class Renamed(api_server.OutputProcessor):
        def propagate_error(self, exception: Exception) -> None: ...

    class Gone:
        def __init__(self) -> None: ...

    put({"vllm.v1.engine.output_processor": {"OutputProcessor": Renamed}})
    put({"vllm.v1.engine.llm_engine": {"LLMEngine": Gone}})
    left_out = dict(one.split(": ", 1) for one in instrument())
    assert "has no parameter e" in left_out["vllm.frontend"]
    assert left_out["vllm.frontend.context"] == (
        "test_a_class_of_another_form.<locals>.Gone has no attribute add_request"
    )
    assert "add_request" not in vars(Renamed)
    assert "vllm.frontend.start" not in left_out


def test_an_unknown_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that nobody tried gets the hooks that fit, and says so."""
    monkeypatch.setattr(package, "installed_version", lambda: "0.99.0")
    assert any("0.99.0 is unknown" in one for one in instrument())
    assert hasattr(api_server.OutputProcessor.add_request, "__wrapped__")


def test_modules_that_come_later(
    put: Callable[[dict[str, dict[str, type]]], None], journal_dir: Path
) -> None:
    """What is imported after us is hooked when the next engine starts, and undone with the rest."""
    instrument()
    put(LATE)
    assert not hasattr(api_server.LLM.chat, "__wrapped__")
    api_server.LLM().chat("0")
    llm = api_server.LLM()
    llm.chat("1")
    llm.llm_engine.output_processor.process_outputs([Output("1-0f", [1], "stop")])
    assert deliveries(journal_dir)["1-0f"].operation == "chat"
    assert uninstrument() == []
    assert not hasattr(api_server.LLM.chat, "__wrapped__")


def test_somebody_elses_patch(monkeypatch: pytest.MonkeyPatch, journal_dir: Path) -> None:
    """A hook under another patch is named and stays; it does nothing, also when we are in again."""
    instrument()
    ours = api_server.OutputProcessor.add_request

    def theirs(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        ours(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(api_server.OutputProcessor, "add_request", theirs)
        (problem,) = uninstrument()
        assert problem.patch == "vllm.frontend"
        assert "add_request has been patched by somebody else" in problem.reason
        live("0")
        instrument()
        live("1")
        uninstrument()
    assert set(deliveries(journal_dir)) == {"1-0f"}


def test_letting_go_goes_on(monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed) -> None:
    """A part that fails to let go is counted; every original is back all the same."""
    from otel_llm.engines.vllm.frontend import Frontend

    def fail(_self: Frontend) -> None:
        message = "on purpose"
        raise RuntimeError(message)

    before = originals()
    instrument()
    monkeypatch.setattr(Frontend, "close", fail)
    assert uninstrument() == []
    assert originals() == before
    assert "vllm.undo" in swallowed.places
    swallowed.clear()
