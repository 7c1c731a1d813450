"""Which vLLM is there, and what of it is out of reach."""

import importlib.metadata
import sys
from types import SimpleNamespace

import pytest

from otel_llm.engines.vllm import package


def test_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loaded module tells its version, else the installed distribution; none is no error."""
    monkeypatch.delitem(sys.modules, "vllm", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", {"vllm": "0.32.0+cpu"}.__getitem__)
    assert package.installed_version() == "0.32.0+cpu"
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(__version__="0.33.1"))
    assert package.installed_version() == "0.33.1"
    monkeypatch.delitem(sys.modules, "vllm")

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert package.installed_version() == ""


@pytest.mark.parametrize(
    ("version", "tested"),
    [("0.32.0", True), ("0.33.1+cu130", True), ("0.34.0", False), ("0.3", False), ("", False)],
)
def test_tested(version: str, tested: bool) -> None:
    """A release is tested or it is not; its patches and builds count as tested."""
    assert package.is_tested(version) is tested
    assert bool(package.beyond_reach(version)) is not tested


def test_unknown_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names the version and those that were tested."""
    monkeypatch.delenv("VLLM_USE_RUST_FRONTEND", raising=False)
    (reason,) = package.beyond_reach("1.2.3")
    assert reason.startswith("vllm.version: 1.2.3 is unknown (tested: 0.32 and 0.33)")


@pytest.mark.parametrize(("value", "left_out"), [("1", True), ("0", False), ("", False)])
def test_rust_front_end(monkeypatch: pytest.MonkeyPatch, value: str, left_out: bool) -> None:
    """The Rust front end leaves the API server's hooks out."""
    monkeypatch.setenv("VLLM_USE_RUST_FRONTEND", value)
    assert any("vllm.frontend" in one for one in package.beyond_reach("0.32.0")) is left_out


@pytest.mark.parametrize(
    ("allowed", "left_out"),
    [(None, False), ("", True), ("a", True), ("a,otel_llm", False), ("otel_llm_too", True)],
)
def test_plugins(allowed: str | None, left_out: bool) -> None:
    """`VLLM_PLUGINS` is a list of names; where it is set, only those are loaded."""
    assert package.plugin_is_left_out(allowed) is left_out
