"""What `otel-llm doctor` says of vLLM."""

import importlib.metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from otel_llm.cli.checks import journals, vllm
from otel_llm.cli.checks.finding import Finding
from otel_llm.engines.vllm import package, plugin
from otel_llm.journal.writer import open_journal
from otel_llm.settings import Settings

VARIABLES = ("VLLM_PLUGINS", "VLLM_USE_RUST_FRONTEND", "VLLM_DISABLE_REQUEST_ID_RANDOMIZATION")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """VLLM 0.32 is installed, and no variable of the developer's own is set."""
    for name in (*VARIABLES, *plugin.SWITCHES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(package, "installed_version", lambda: "0.32.0+cpu")


def look() -> dict[str, Finding]:
    """All findings, by what they are about."""
    return {one.what: one for one in vllm.check()}


def test_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tested version; the hooks are off until `otel-llm run` or the environment says on."""
    found = look()
    assert set(found) == {"version", "hooks", "shutdown"}
    assert found["version"].status == "ok"
    assert "0.32.0+cpu is tested" in found["version"].detail
    assert (found["hooks"].status, found["hooks"].remedy[:12]) == ("off", "otel-llm run")
    monkeypatch.setenv("OTEL_LLM_ENABLED", "true")
    assert look()["hooks"].status == "ok"
    monkeypatch.setenv("OTEL_LLM_ENABLED", "false")
    assert look()["hooks"].status == "off"


def test_what_stopping_does() -> None:
    """That open requests read as an engine's death, and the option that lets them finish."""
    told = look()["shutdown"]
    assert told.status == "ok"
    assert "engine_died" in told.detail
    assert "--shutdown-timeout" in told.detail


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """VLLM elsewhere, or nowhere, is no problem."""
    monkeypatch.setattr(package, "installed_version", str)
    (found,) = vllm.check()
    assert found.status == "off"


def test_unknown_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that nobody tried is named, beside those that were."""
    monkeypatch.setattr(package, "installed_version", lambda: "0.40.1")
    found = look()["version"]
    assert found.status == "warning"
    assert "0.40.1 is unknown (tested: 0.32 and 0.33)" in found.detail


def test_no_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a bare checkout vLLM cannot find the hooks."""
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [SimpleNamespace(name=f"not {group}")]
    )
    assert look()["entry point"].status == "problem"


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("VLLM_PLUGINS", "a,b", "export VLLM_PLUGINS=a,b,otel_llm"),
        ("VLLM_PLUGINS", "", "export VLLM_PLUGINS=otel_llm"),
        ("VLLM_USE_RUST_FRONTEND", "1", "unset VLLM_USE_RUST_FRONTEND"),
        (
            "VLLM_DISABLE_REQUEST_ID_RANDOMIZATION",
            "1",
            "unset VLLM_DISABLE_REQUEST_ID_RANDOMIZATION",
        ),
    ],
)
@pytest.mark.parametrize("version", ["0.32.0", ""])
def test_variables(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, remedy: str, version: str
) -> None:
    """What leaves hooks out or makes ids collide is said, also where vLLM is elsewhere."""
    monkeypatch.setattr(package, "installed_version", lambda: version)
    monkeypatch.setenv(variable, value)
    (found,) = [one for one in vllm.check() if one.status == "warning"]
    assert variable.startswith(found.what.rstrip("…"))
    assert found.remedy == remedy


@pytest.mark.parametrize(
    ("variable", "value"),
    [("VLLM_PLUGINS", "a,otel_llm"), *((name, "0") for name in VARIABLES[1:])],
)
def test_harmless_variables(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Set, but in our favour: nothing to say."""
    monkeypatch.setenv(variable, value)
    assert not [one for one in vllm.check() if one.status == "warning"]


def test_hooks_left_out_by_a_running_engine(tmp_path: Path) -> None:
    """What an engine says in its journal's header is shown while it lives."""
    settings = Settings(journal_dir=str(tmp_path / "journals"), journal_bytes=1 << 20)
    journal = open_journal(
        kind="engine",
        service="chat",
        engine="vllm",
        engine_version="0.40",
        left_out=["vllm.core.preemption: Scheduler has no attribute _preempt_request"],
        settings=settings,
    )

    def warnings() -> list[str]:
        return [one.detail for one in journals.check(settings) if "without" in one.detail]

    (told,) = warnings()
    assert told.startswith("chat runs without vllm.core.preemption: Scheduler has no attribute")
    journal.close()
    assert warnings() == []
