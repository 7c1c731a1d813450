"""The entry point: off unless switched on, and never in the way."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from otel_llm.engines.vllm import instrument, plugin
from otel_llm.testing import Swallowed


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry per time that the hooks would have been put in."""
    for name in plugin.SWITCHES:
        monkeypatch.delenv(name, raising=False)
    seen: list[str] = []
    monkeypatch.setattr(instrument, "instrument", lambda: seen.append("put in"))
    return seen


def test_off_by_default(calls: list[str]) -> None:
    """Without a switch nothing happens."""
    plugin.load()
    assert not calls


def test_off_imports_nothing() -> None:
    """An engine without hooks pays for one small file: no settings, no msgspec, no vLLM."""
    code = (
        "import json, sys; before = set(sys.modules); import otel_llm.engines.vllm.plugin as p; "
        "p.load(); print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    clean = {key: value for key, value in os.environ.items() if key not in plugin.SWITCHES}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, env=clean
    )
    ours = {"otel_llm", "otel_llm.engines", "otel_llm.engines.vllm", "otel_llm.engines.vllm.plugin"}
    assert set(json.loads(done.stdout)) == ours


@pytest.mark.parametrize(
    ("value", "on"), [("true", True), ("1", True), ("false", False), ("0", False)]
)
def test_environment(
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    value: str,
    on: bool,
) -> None:
    """`OTEL_LLM_ENABLED` switches on or off, and wins over the file."""
    monkeypatch.setenv("OTEL_LLM_ENABLED", value)
    plugin.load()
    assert bool(calls) is on


@pytest.mark.parametrize(
    ("text", "on"), [("enabled = true", True), ("enabled = false", False), ("", False)]
)
def test_file(
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    text: str,
    on: bool,
) -> None:
    """A file switches on only by saying so: it may be there for the agent alone."""
    path = tmp_path / "otel-llm.toml"
    path.write_text(text)
    monkeypatch.setenv("OTEL_LLM_CONFIG", str(path))
    plugin.load()
    assert bool(calls) is on


def test_wrong_setting(
    calls: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A setting that cannot be used is named in the log; the engine starts without hooks."""
    monkeypatch.setenv("OTEL_LLM_ENABLED", "maybe")
    plugin.load()
    assert not calls
    assert "No hooks: enabled" in caplog.text


def test_never_raises(monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed) -> None:
    """Whatever goes wrong while the hooks are put in, the engine starts."""

    def fail() -> None:
        message = "on purpose"
        raise RuntimeError(message)

    monkeypatch.setenv("OTEL_LLM_ENABLED", "true")
    monkeypatch.setattr(instrument, "instrument", fail)
    plugin.load()
    assert swallowed.places == ["vllm.plugin"]
    swallowed.clear()


def test_model_inspection(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The process in which vLLM looks at a model's class runs no engine and gets no hooks."""
    monkeypatch.setenv("OTEL_LLM_ENABLED", "true")
    main = SimpleNamespace(__spec__=SimpleNamespace(name="vllm.model_executor.models.registry"))
    monkeypatch.setitem(sys.modules, "__main__", main)
    plugin.load()
    assert not calls


def test_registered() -> None:
    """The entry point that vLLM finds is `load`, under the name that `VLLM_PLUGINS` takes."""
    (found,) = [
        one
        for one in importlib.metadata.entry_points(group="vllm.general_plugins")
        if one.name == "otel_llm"
    ]
    assert found.load() is plugin.load
