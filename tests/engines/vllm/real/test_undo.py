"""Hooks in, hooks out: vLLM's own objects are back, whatever was open."""

import asyncio
import functools
import importlib
from pathlib import Path
from typing import Any

import pytest

from otel_llm.engines.vllm import frontend_patches
from otel_llm.engines.vllm.core_patches import core_patches
from otel_llm.engines.vllm.frontend import Frontend
from otel_llm.engines.vllm.instrument import instrument, uninstrument
from otel_llm.engines.vllm.worker_patches import worker_patches
from otel_llm.journal import directory
from otel_llm.journal.writer import Journal
from otel_llm.patching import Replacement
from tests.engines.vllm.real.api import Servers, call
from tests.engines.vllm.real.config import Shape
from tests.engines.vllm.real.drive import Engine
from tests.engines.vllm.real.journals import read

pytestmark = pytest.mark.vllm
_ABSENT = object()


@pytest.fixture(scope="module", autouse=True)
def _late_modules() -> None:
    """The modules that only some processes import are imported in this one."""
    for name in (frontend_patches.SERVING, frontend_patches.OFFLINE):
        importlib.import_module(name)


def replacements() -> list[Replacement]:
    """Every attribute that the hooks replace."""

    def no_journal(_model: str) -> Journal:
        raise AssertionError

    frontend = Frontend(no_journal)
    patches = [
        *core_patches(),
        *worker_patches(),
        *frontend_patches.frontend_patches(frontend),
        *frontend_patches.late_patches(frontend),
    ]
    return [one for patch in patches for one in patch.replacements]


def found() -> dict[str, object]:
    """What stands in each place now: the owner's own attribute, descriptors as they are."""
    return {
        f"{one.owner}.{one.name}": vars(one.owner).get(one.name, _ABSENT) for one in replacements()
    }


@pytest.mark.usefixtures("journal_dir")
def test_every_original_is_back() -> None:
    """All hooks fit this vLLM; once undone, the very objects that were there are there again."""
    before = found()
    assert len(before) >= 20
    for _ in range(2):
        assert instrument() == []
        during = found()
        assert not [place for place in before if during[place] is before[place]]
        assert instrument() == []
        assert found() == during, "hooks upon hooks"
        assert uninstrument() == []
        after = found()
        assert not [place for place in before if after[place] is not before[place]]
    assert uninstrument() == []


@pytest.mark.usefixtures("journal_dir")
def test_in_the_middle_of_everything() -> None:
    """Undone with requests open, the engine goes on without us, and holds nothing of ours."""

    async def serve() -> tuple[list[Any], set[str], Servers]:
        one = Servers(Engine(Shape(asynchronous=True)), depth=2)
        calls = [call(one.llms[0], f"cmpl-{n}-0", [5, 6, 7, n], max_tokens=9) for n in range(4)]
        for _ in range(4):
            await asyncio.sleep(0)
            one.turn()
        calls.append(call(one.llms[0], "cmpl-new-0", [5, 6], max_tokens=9))
        for _ in range(3):
            await asyncio.sleep(0)
        held = ours(one)
        uninstrument()
        assert ours(one) == set()
        await one.serve(*calls)
        one.close()
        return [len(tokens_of(each)) for each in calls], held, one

    instrument()
    lengths, held, one = asyncio.run(serve())
    assert lengths == [9] * 5
    assert held == {"AsyncScheduler", "OutputProcessor", "RequestState"}
    assert ours(one) == set()


def test_in_again(journal_dir: Path) -> None:
    """In, out and in again leaves one set of facts: those of the hooks that are in."""

    def live() -> None:
        async def serve() -> None:
            one = Servers(Engine(Shape()))
            await one.serve(call(one.llms[0], "cmpl-x-0", [5, 6, 7], max_tokens=3))
            one.close()

        asyncio.run(serve())

    def count() -> tuple[int, int]:
        return (len(read(journal_dir, "engine")), len(read(journal_dir, "frontend")))

    instrument()
    live()
    uninstrument()
    assert count() == (1, 1)
    live()
    assert count() == (1, 1)
    instrument()
    live()
    assert count() == (2, 2)
    uninstrument()
    for kind in ("engine", "frontend"):
        for facts in read(journal_dir, kind):
            assert len(facts.arrived if kind == "engine" else facts.delivered) == 1
    assert len(directory.scan(journal_dir)) == 4


def test_patched_over(journal_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook under somebody else's patch stays, is named, and does nothing more."""
    from vllm.v1.engine.output_processor import OutputProcessor

    instrument()
    hook = OutputProcessor.add_request
    with monkeypatch.context() as theirs:
        theirs.setattr(OutputProcessor, "add_request", functools.partialmethod(hook))
        (problem,) = uninstrument()
        assert problem.patch == "vllm.frontend"

        async def serve() -> None:
            one = Servers(Engine(Shape()))
            await one.serve(call(one.llms[0], "cmpl-x-0", [5, 6, 7], max_tokens=3))
            assert ours(one) == set()
            one.close()

        asyncio.run(serve())
    assert read(journal_dir, "frontend") == []


def tokens_of(task: "asyncio.Task[Any]") -> list[int]:
    """All tokens of a call."""
    return [token for output in task.result() for token in output.outputs[0].token_ids]


def ours(servers: Servers) -> set[str]:
    """Classes of vLLM's objects that hold something of ours."""
    objects: list[Any] = [servers.engine.scheduler, servers.engine.core]
    for llm in servers.llms:
        objects += [llm, llm.output_processor, *llm.output_processor.request_states.values()]
    objects += servers.engine.scheduler.requests.values()
    return {
        type(one).__name__
        for one in objects
        if any("otel_llm" in name for name in vars(one)) or "make_request_output" in vars(one)
    }
