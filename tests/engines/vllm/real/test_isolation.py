"""Whatever fails in our code, vLLM computes, hands on and raises the same.

Every function behind the hooks is made to raise, one after the other, and everything that they keep
is broken, thing by thing. The story that is lived through each time goes through every hook.
"""

import asyncio
import functools
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine.core import EngineShutdownState
from vllm.v1.engine.exceptions import EngineDeadError

from otel_llm import recorder
from otel_llm.engines.vllm import (
    accounts,
    core,
    core_arrivals,
    core_flight,
    core_hooks,
    core_last,
    core_members,
    extract,
    frontend,
    frontend_halves,
    identity,
)
from otel_llm.engines.vllm.instrument import instrument, uninstrument
from otel_llm.journal.writer import Journal
from otel_llm.testing import Swallowed
from tests.engines.vllm.real.api import Servers, call
from tests.engines.vllm.real.config import Shape
from tests.engines.vllm.real.drive import Engine
from tests.engines.vllm.real.test_undo import replacements

pytestmark = pytest.mark.vllm

_BEHIND = (
    accounts, core_arrivals, core_flight, core_last, core_members, extract, frontend,
    frontend_halves, identity, recorder,
)  # fmt: skip
"""Modules whose functions are called by hooks under a guard. `core.Core` is such a guard itself."""

_SHAPE = Shape(asynchronous=True, blocks=14, max_seqs=4)
_HEADERS = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}


class Story(NamedTuple):
    """What is seen of vLLM from outside.

    Attributes:
        answers: tokens, texts' ends and errors of each call.
        steps: tokens scheduled in each step.
        headers: trace headers that came to the scheduler's requests.
    """

    answers: list[object]
    steps: list[list[int]]
    preemptions: int


async def live() -> Story:
    """Stop strings, samples, a client that goes, preemptions, a failed load, a dead engine."""
    one = Servers(Engine(_SHAPE), depth=2)
    llm = one.llms[0]
    calls = [
        call(llm, "cmpl-a-0", [5, 6, 7, 8] * 3, _HEADERS, max_tokens=12),
        call(llm, "cmpl-b-0", [5, 6, 7, 9] * 3, max_tokens=12, stop=["w217"]),
        call(llm, "chatcmpl-c", [5, 6, 8] * 3, n=2, max_tokens=12),
        call(llm, "cmpl-d-0", [5, 6, 9] * 3, max_tokens=200),
    ]
    for _ in range(6):
        await asyncio.sleep(0)
        one.turn()
    calls[-1].cancel()
    await one.serve(*calls)
    core_, scheduler = one.engine.core, one.engine.scheduler
    scheduler._handle_invalid_blocks(set(), {})
    last = call(llm, "cmpl-e-0", [5, 6, 7], max_tokens=50)
    for _ in range(3):
        await asyncio.sleep(0)
        one.turn()
    one.clients[0].die()
    answers = [answer(each) for each in [*calls, last] if await ended(each)]
    core_.shutdown_state = EngineShutdownState.REQUESTED
    one.engine.add("refused", 4)
    core_.shutdown()
    one.close()
    steps = [sorted(step.output.num_scheduled_tokens.values()) for step in one.engine.steps]
    preemptions = sum(each.num_preemptions for each in one.engine.requests.values())
    return Story(answers, steps, preemptions)


async def ended(task: "asyncio.Task[Any]") -> bool:
    """Wait for a call, whatever becomes of it."""
    await asyncio.wait([task])
    return True


def answer(task: "asyncio.Task[Any]") -> object:
    """What a caller got."""
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    if error is not None:
        return type(error)
    return [
        (part.index, list(part.token_ids), part.text, part.finish_reason)
        for output in task.result()
        for part in output.outputs
    ]


@pytest.fixture(scope="module")
def expected() -> Story:
    """The story without hooks."""
    return asyncio.run(live())


def live_hooked() -> Story:
    """The story with all hooks in place, from before it begins until after it has ended."""
    assert instrument() == []
    try:
        return asyncio.run(live())
    finally:
        uninstrument()


def test_the_story_is_rich(expected: Story) -> None:
    """Preemption, cancellation, a stop string and the engine's death are in it."""
    assert expected.preemptions > 0
    assert "cancelled" in expected.answers
    assert expected.answers[-1] is EngineDeadError
    assert "stop" in str(expected.answers[1])


@pytest.mark.usefixtures("journal_dir")
def test_the_story_goes_through_every_hook(
    expected: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hook of the engine core and of the API server is called, and changes nothing."""
    called: Counter[str] = Counter()
    places = {
        f"{one.owner.__module__}.{one.owner.__qualname__}.{one.name}": one  # type: ignore[attr-defined]
        for one in replacements()
        if not one.owner.__module__.startswith("vllm.entrypoints")  # type: ignore[attr-defined]
    }
    assert instrument() == []
    with monkeypatch.context() as counting:
        for place, one in places.items():
            hook = vars(one.owner)[one.name]
            counting.setattr(one.owner, one.name, _counted(called, place, hook))
        assert asyncio.run(live()) == expected
    uninstrument()
    missed = {place for place in places if not called[place]}
    # The engine of library use is not in the story; its hooks are made as those of `AsyncLLM` are.
    # Nor are executors and workers, for which a scripted runner stands in: `test_devices.py`.
    elsewhere = (".LLMEngine.", ".Executor.", ".WorkerWrapperBase.")
    assert all(any(name in place for name in elsewhere) for place in missed), missed


def _counted(called: Counter[str], place: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(hook)
    def counted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        called[place] += 1
        return hook(*args, **kwargs)

    return counted


def _functions() -> Iterator[tuple[str, object, str]]:
    """Every function behind the hooks: its name, its owner, its attribute."""
    for module in _BEHIND:
        for owner in (module, *_classes(module)):
            for name, value in vars(owner).items():
                if inspect.isfunction(value) and value.__module__ == module.__name__:
                    yield f"{value.__module__}.{value.__qualname__}", owner, name
    for name in ("_judge", "_stale", "_report", "_first_tokens"):
        yield f"Core.{name}", core.Core, name
    yield "core_hooks.attach", core_hooks, "attach"
    yield "Journal.write", Journal, "write"


def _classes(module: ModuleType) -> list[type]:
    return [
        one
        for one in vars(module).values()
        if inspect.isclass(one) and one.__module__ == module.__name__
    ]


FUNCTIONS = {name: (owner, attribute) for name, owner, attribute in _functions()}
# Made while the hooks are put in, before any of them: the plug-in's guard is the one that counts.
del FUNCTIONS[f"{frontend.__name__}.Frontend.__init__"]


class Broken(Exception):  # noqa: N818
    """Raised on purpose."""


@pytest.mark.usefixtures("journal_dir")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_raises(
    expected: Story, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed, name: str
) -> None:
    """A failure anywhere behind a hook is kept from vLLM, and counted if it came about."""
    owner, attribute = FUNCTIONS[name]
    failed = []

    def fail(*_args: object, **_kwargs: object) -> Any:  # noqa: ANN401
        failed.append(name)
        raise Broken

    original = vars(owner)[attribute]
    for place in _places(owner, attribute, original):
        monkeypatch.setattr(place, attribute, fail)
    assert live_hooked() == expected
    assert bool(swallowed) == bool(failed)
    swallowed.clear()


def _places(owner: object, attribute: str, original: object) -> list[object]:
    """Where a function is looked up: its owner, and every module that imports it by name."""
    modules = [one for name, one in sys.modules.items() if name.startswith("otel_llm.")]
    return [owner, *(one for one in modules if vars(one).get(attribute) is original)]


class Ruin:
    """Stands for something of ours that is broken: every use of it raises."""

    def _fail(self, *_args: object, **_kwargs: object) -> Any:  # noqa: ANN401
        raise Broken

    __call__ = __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = _fail
    __len__ = __bool__ = __getattr__ = __add__ = __iadd__ = __lt__ = __index__ = _fail


CORE_STATE = sorted(
    name
    for name in inspect.getsource(core.Core.__init__).split()
    if name.startswith("self._") and "guard" not in name
)
HALVES_STATE = ("_open", "ending", "_journal", "_clock", "now")


@pytest.mark.usefixtures("journal_dir")
@pytest.mark.parametrize("name", sorted({one[5:].rstrip(",:") for one in CORE_STATE}))
def test_a_core_in_ruins(
    expected: Story, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed, name: str
) -> None:
    """Nothing that a scheduler's `Core` keeps can break a step."""
    attach = core_hooks.attach

    def ruined(scheduler: Scheduler, left_out: Any = ()) -> core.Core:  # noqa: ANN401
        made = attach(scheduler, left_out)
        if hasattr(made, name):
            setattr(made, name, Ruin())
        return made

    monkeypatch.setattr(core_hooks, "attach", ruined)
    assert live_hooked() == expected
    swallowed.clear()


@pytest.mark.usefixtures("journal_dir")
@pytest.mark.parametrize("name", HALVES_STATE)
def test_halves_in_ruins(
    expected: Story, monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed, name: str
) -> None:
    """Nothing that an output processor's `Halves` keep can break a call."""
    make = frontend_halves.Halves.__init__

    def ruined(self: object, *args: Any) -> None:  # noqa: ANN401
        make(self, *args)  # type: ignore[arg-type]
        assert hasattr(self, name)
        setattr(self, name, Ruin())

    monkeypatch.setattr(frontend_halves.Halves, "__init__", ruined)
    assert live_hooked() == expected
    assert swallowed
    swallowed.clear()
