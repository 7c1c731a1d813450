"""The methods under our hooks, as each tested release has them."""

import importlib
import inspect
import json
from pathlib import Path

import pytest

from otel_llm.engines.vllm import frontend_patches
from otel_llm.engines.vllm.package import TESTED, installed_version, release_of
from tests.engines.vllm.real.test_undo import replacements

pytestmark = pytest.mark.vllm
KNOWN: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("signatures.json").read_text(encoding="utf-8")
)
"""Parameters by method, by release, from vLLM's sources."""


def _parameters(function: object) -> str:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    found = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return " ".join(stars.get(one.kind, "") + one.name for one in found)


def test_the_installed_release_is_as_it_was_read() -> None:
    """A method that has gained, lost or renamed a parameter is to be read again."""
    for name in (frontend_patches.SERVING, frontend_patches.OFFLINE):
        importlib.import_module(name)
    found = {
        f"{one.owner.__name__}.{one.name}": _parameters(  # type: ignore[attr-defined]
            inspect.getattr_static(one.owner, one.name)
        )
        for one in replacements()
    }
    assert found == KNOWN[release_of(installed_version())]


def test_every_tested_release_is_written_down() -> None:
    """None is called tested whose methods nobody has read, nor the other way round."""
    assert set(KNOWN) == {one.release for one in TESTED}
