"""The hooks of one step, to be called again without vLLM."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks.vllm_hooks.meter import Function
from benchmarks.vllm_hooks.switch import in_place
from otel_llm.patching import Make, Patch, PatchSet, Replacement


class Call(NamedTuple):
    """One call of a hook.

    Attributes:
        hook: the hook, around `stub`.
        stub: does nothing but return what vLLM's own function returned.
        args: what vLLM called it with.
        kwargs: the same.
    """

    hook: Function
    stub: Function
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def captured(patches: Sequence[Patch], step: Callable[[], None]) -> list[Call]:
    """The calls of hooks that a step makes, in order."""
    calls: list[Call] = []

    def spying(make: Make) -> Make:
        def made(original: Function) -> Function:
            @functools.wraps(original)
            def inner(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  whatever vLLM passes
                result = original(*args, **kwargs)
                stub = functools.wraps(original)(lambda *_args, **_kwargs: result)
                calls.append(Call(make(stub), stub, args, kwargs))
                return result

            return make(inner)

        return made

    spies = PatchSet(
        *(
            Patch(patch.name, tuple(Replacement(o, n, spying(m)) for o, n, m in patch.replacements))
            for patch in patches
        )
    )
    with in_place(spies):
        step()
    return calls


def replay(calls: Sequence[Call], *, hooks: bool) -> Callable[[], None]:
    """A function that makes the calls again, with the hooks or of the stubs alone."""
    made = [(call.hook if hooks else call.stub, call.args, call.kwargs) for call in calls]

    def again() -> None:
        for function, args, kwargs in made:
            function(*args, **kwargs)

    return again
