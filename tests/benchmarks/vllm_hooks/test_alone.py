"""The hooks of a step are called again as vLLM called them, and vLLM's own functions are not."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.vllm_hooks.alone import captured, replay
from benchmarks.vllm_hooks.switch import in_place, switch
from otel_llm.patching import Patch, PatchSet, Replacement


class Engine:
    """Two hooked methods, one of which calls the other."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def schedule(self, throttle: bool = False) -> str:
        """Stands for vLLM's."""
        self.did.append(f"schedule {throttle}")
        return "batch"

    def update(self, batch: str, *, result: int) -> int:
        """The same."""
        self.did.append(f"update {batch} {result}")
        return result + 1


def patches(seen: list[Any]) -> tuple[Patch, ...]:
    """Hooks that note what they are called with and what they get."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def hook(self: Engine, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            returned = original(self, *args, **kwargs)
            seen.append((original.__name__, args, kwargs, returned))
            return returned

        return hook

    return (
        Patch("a", (Replacement(Engine, "schedule", make),)),
        Patch("b", (Replacement(Engine, "update", make),)),
    )


def test_the_same_calls_again() -> None:
    """Hooks see the same arguments and results in the same order; the engine does nothing."""
    engine, seen = Engine(), list[Any]()

    def step() -> None:
        engine.update(engine.schedule(), result=4)

    calls = captured(patches(seen), step)
    first, did = list(seen), list(engine.did)
    assert did == ["schedule False", "update batch 4"]
    replay(calls, hooks=True)()
    assert seen == first * 2
    assert first[1] == ("update", ("batch",), {"result": 4}, 5)
    assert engine.did == did


def test_stubs_alone_call_no_hook() -> None:
    """What is taken off is the cost of the stubs, called in the same way."""
    engine, seen = Engine(), list[Any]()

    def step() -> None:
        engine.schedule(True)

    calls = captured(patches(seen), step)
    seen.clear()
    replay(calls, hooks=False)()
    assert seen == []
    assert [call.stub(*call.args, **call.kwargs) for call in calls] == ["batch"]


def test_hooks_are_out_again_even_after_a_failure() -> None:
    """A benchmark that breaks off leaves vLLM as it was."""
    before = dict(vars(Engine))
    inside = []

    def fail() -> None:
        with in_place(PatchSet(*patches([]))):
            inside.append(dict(vars(Engine)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert inside != [before]
    assert dict(vars(Engine)) == before


def test_a_hook_that_does_not_fit_is_an_error() -> None:
    """A figure without all hooks would be too good."""
    wrong = PatchSet(Patch("c", (Replacement(Engine, "gone", lambda original: original),)))
    with pytest.raises(RuntimeError, match="gone"):
        switch(wrong, on=True)
