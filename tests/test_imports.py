"""Who may import whom, and what an engine process pays for importing us."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "otel_llm"
FOUNDATION = ("conventions", "errors", "clock", "settings", "context", "backoff")
"""Modules without a layer: every layer may use them."""

MAY_SEE: dict[str, tuple[str, ...]] = {
    "conventions": (),
    "clock": (),
    "errors": (),
    "settings": ("errors",),
    "context": ("conventions",),
    "facts": ("clock", "conventions", "context"),
    "isolation": (),
    "patching": (),
    "private_dir": (),
    "identity": ("conventions", "facts"),
    "journal": (*FOUNDATION, "facts", "identity", "isolation", "private_dir"),
    "recorder": (*FOUNDATION, "facts", "isolation", "journal"),
    "backoff": (),
    "pinning": (),
    "x509": (),
    "runfile": ("errors", "pinning", "private_dir", "x509"),
    "sockets": ("errors",),
    "exporters": (
        *FOUNDATION,
        "facts",
        "isolation",
        "pinning",
        "private_dir",
        "runfile",
    ),
    "dashboards": ("conventions",),
    "alert_rules": ("conventions", "errors"),
}
LEAVES = ("otel_llm.collector.decoder", "otel_llm.query.sql")
"""Packages that know nothing of ours, inside a layer that knows much."""
ENGINE_SIDE = ("conventions", "clock", "errors", "settings", "facts", "identity", "isolation",
               "patching",
               "private_dir", "journal", "recorder")  # fmt: skip


def files(layer: str) -> list[Path]:
    """The Python files of a module or package of ours."""
    module = PACKAGE / f"{layer}.py"
    return [module] if module.exists() else sorted((PACKAGE / layer).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of all modules that a file imports, at its top or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def test_no_program_uses_a_fake() -> None:
    """What fakes play is of no device, so no user may see it: they are for tests and benchmarks."""
    fakes = ("otel_llm.kernels.fake_", "otel_llm.devices.fake_")
    files_of_fakes = re.compile(r"/fake_\w+(\.py|/)")
    users = [
        path
        for path in PACKAGE.rglob("*.py")
        if not files_of_fakes.search(path.as_posix())
        and any(name.startswith(fakes) for name in imported(path))
    ]
    assert users == []


@pytest.mark.parametrize("layer", MAY_SEE)
def test_layers(layer: str) -> None:
    """Each layer imports only the layers below it."""
    assert files(layer), layer
    for path in files(layer):
        for name in imported(path):
            top, _, rest = name.partition(".")
            if top == "otel_llm" and not name.startswith(LEAVES):
                seen = rest.partition(".")[0]
                assert seen == layer or seen in MAY_SEE[layer], f"{path} imports {name}"


@pytest.mark.parametrize("leaf", LEAVES)
def test_leaves_know_nothing_of_ours(leaf: str) -> None:
    """A leaf imports itself alone, so that any layer may see it."""
    found = files(leaf.removeprefix("otel_llm.").replace(".", "/"))
    assert found
    for path in found:
        ours = {name for name in imported(path) if name.startswith("otel_llm")}
        assert all(name.startswith(leaf) for name in ours), path


@pytest.mark.parametrize("layer", ENGINE_SIDE)
def test_engine_side_needs_msgspec_alone(layer: str) -> None:
    """What an engine imports needs the standard library and msgspec, and nothing else."""
    allowed = {"otel_llm", "msgspec", *sys.stdlib_module_names}
    if layer == "settings":
        allowed |= {"tomllib", "tomli"}  # the second stands in for the first in Python 3.10
    for path in files(layer):
        tops = {name.partition(".")[0] for name in imported(path)}
        assert tops <= allowed, f"{path} imports {tops - allowed}"


PROBE = """
import itertools, json, sys
events = itertools.count()
sys.setprofile(lambda *_: next(events))
import msgspec
between = next(events)
import otel_llm.recorder, otel_llm.patching, otel_llm.conventions
ended = next(events)
sys.setprofile(None)
result = {"msgspec": between, "ours": ended - between, "modules": sorted(sys.modules)}
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], dict[str, Any]]:
    """Imports what an engine imports in a fresh interpreter that has its bytecode, as installed."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path_factory.mktemp("bytecode"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run() -> dict[str, Any]:
        command = [sys.executable, "-c", PROBE]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    run()
    return run


def test_import_is_quick(probe: Callable[[], dict[str, Any]]) -> None:
    """Importing our part calls fewer functions than importing msgspec, about half of 50 ms.

    Calls are counted, because they are as many on any machine; `make bench-hooks` reports
    milliseconds.
    """
    calls = probe()
    assert 0 < calls["ours"] < calls["msgspec"]


def test_import_brings_nothing_heavy(probe: Callable[[], dict[str, Any]]) -> None:
    """No logging, network, asyncio or OpenTelemetry module comes into the engine with us."""
    heavy = {"logging", "socket", "ssl", "asyncio", "tempfile", "dataclasses", "opentelemetry"}
    assert not heavy & set(probe()["modules"])
