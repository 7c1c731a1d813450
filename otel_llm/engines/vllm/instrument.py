"""`instrument()` puts all hooks into vLLM's classes in this process; `uninstrument()` undoes it."""

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial

from otel_llm.engines.vllm import package, worker_steps
from otel_llm.engines.vllm.core_patches import close_all, core_patches
from otel_llm.engines.vllm.frontend import Frontend
from otel_llm.engines.vllm.frontend_patches import frontend_patches, late_patches
from otel_llm.engines.vllm.worker_patches import worker_patches
from otel_llm.isolation import Guard
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.patching import Patch, PatchSet, Problem

_lock = threading.RLock()
_current: "Instrumentation | None" = None


class Instrumentation:
    """The hooks in this process."""

    def __init__(self) -> None:
        self._frontend = Frontend(partial(open_frontend, self.left_out), self.look_again)
        self._left_out = package.beyond_reach(package.installed_version())
        self._sets: dict[str, PatchSet] = {}
        self._undone = False

    def left_out(self) -> list[str]:
        """Hooks that are not in place so far, as `name: reason`."""
        return list(self._left_out)

    def _for_core(self) -> list[str] | None:
        return None if self._undone else self.left_out()

    def put_in(self) -> None:
        """Apply every patch that fits this vLLM."""
        self._add("vllm.core", lambda: core_patches(self._for_core, self._frontend.disown))
        self._add("vllm.devices", worker_patches)
        self._add("vllm.frontend", lambda: frontend_patches(self._frontend))
        self.look_again()

    def look_again(self) -> None:
        """Apply the patches of modules that have been imported since."""
        for patch in late_patches(self._frontend):
            if patch.name not in self._sets:
                self._apply(patch.name, (patch,))

    def _add(self, name: str, patches: Callable[[], tuple[Patch, ...]]) -> None:
        try:
            found = patches()
        except (ImportError, AttributeError) as error:
            self._left_out.append(f"{name}: {error}")
        else:
            self._apply(name, found)

    def _apply(self, name: str, patches: tuple[Patch, ...]) -> None:
        self._sets[name] = PatchSet(*patches)
        problems = self._sets[name].apply()
        self._left_out += [f"{one.patch}: {one.reason}" for one in problems]

    def take_out(self) -> list[Problem]:
        """Undo every patch, the latest first, and let go of all that the hooks held."""
        self._undone = True
        problems = [one for patches in reversed(self._sets.values()) for one in patches.undo()]
        for close in (self._frontend.close, close_all, worker_steps.close_all):
            with Guard("vllm.undo"):  # what one part cannot let go of must not hold up the rest
                close()
        return problems


def instrument() -> list[str]:
    """Put the hooks in. A second call changes nothing.

    Returns:
        Hooks that are not in place, as `name: reason`.
    """
    global _current  # noqa: PLW0603  vLLM's classes exist once per process, and so do the hooks
    with _lock:
        if _current is None:
            _current = Instrumentation()
            _current.put_in()
        return _current.left_out()


def uninstrument() -> list[Problem]:
    """Take the hooks out: every original is back in its place, every journal is closed.

    Returns:
        Hooks over which somebody else has patched since. They stay, and do nothing.
    """
    global _current
    with _lock:
        current, _current = _current, None
        return [] if current is None else current.take_out()


def open_frontend(left_out: Callable[[], Sequence[str]], model: str) -> Journal:
    """Open the journal of an API server's half.

    Args:
        left_out: hooks that are not in place so far, as `name: reason`.
        model: the served model.
    """
    return open_journal(
        kind="frontend",
        service=package.ENGINE,
        engine=package.ENGINE,
        engine_version=package.installed_version(),
        model=model,
        left_out=left_out(),
    )


def _new_lock() -> None:
    global _lock  # noqa: PLW0603  another thread may have held it when the process forked
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_new_lock)
