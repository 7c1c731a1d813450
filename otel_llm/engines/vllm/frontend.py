"""The API server of this process: its output processors, and the journal that they share."""

import multiprocessing
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from otel_llm.clock import SYSTEM_CLOCK, Clock
from otel_llm.engines.vllm import extract
from otel_llm.engines.vllm.frontend_halves import Halves
from otel_llm.isolation import Guard
from otel_llm.journal.writer import Journal

HALVES = "otel_llm_halves"
"""Attribute of an `OutputProcessor` that holds its `Halves`."""

_all: "weakref.WeakSet[Frontend]" = weakref.WeakSet()


class Frontend:
    """All output processors of this process, and the journal they share.

    Args:
        open_journal: opens the journal, given the served model. Called at the first engine.
        look_again: called before that, once per engine.
        clock: source of stamps.
    """

    def __init__(
        self,
        open_journal: Callable[[str], Journal],
        look_again: Callable[[], None] = lambda: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.guard = Guard("vllm.frontend", self._count_swallowed)
        self._open_journal = open_journal
        self._look_again = look_again
        self._clock = clock
        self._journal: Journal | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._processors: weakref.WeakSet[Any] = weakref.WeakSet()
        _all.add(self)

    def attach(self, engine: Any) -> None:  # noqa: ANN401  vLLM's AsyncLLM or LLMEngine
        """Follow an engine's output processor, if it is not followed yet."""
        if not self._closed and HALVES not in vars(engine.output_processor):
            self._look_again()
            self._follow(engine.output_processor, extract.served(engine.vllm_config).model)

    def of(self, processor: Any) -> Halves | None:  # noqa: ANN401  vLLM's OutputProcessor
        """The open requests of an output processor; None once we are closed."""
        halves: Halves | None = vars(processor).get(HALVES)
        return halves or self._follow(processor, "")

    def _follow(self, processor: Any, model: str) -> Halves | None:  # noqa: ANN401
        with self._lock:
            if self._closed:
                return None
            if self._journal is None:
                self._journal = self._open_journal(model)
            halves = Halves(self._journal, model, self._clock, self.guard)
            setattr(processor, HALVES, halves)
            self._processors.add(processor)
            return halves

    def stopped(self, engine: Any) -> None:  # noqa: ANN401  vLLM's AsyncLLM
        """An engine was shut down. In one of several API servers the journal closes with it.

        Those are children of `multiprocessing`, which end without the journal's own `atexit`.
        """
        with self._lock:
            processor = getattr(engine, "output_processor", None)
            if processor in self._processors and multiprocessing.parent_process() is not None:
                self._processors.remove(processor)
                if self._journal is not None and not self._processors:
                    self._journal.close()
                    self._journal = None

    def disown(self, request_id: str) -> None:
        """The engine core, in this process, takes a request in without following it."""
        with self._lock:
            for processor in self._processors:
                vars(processor)[HALVES].disown(request_id)

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it when the process forked

    def _count_swallowed(self) -> None:
        if self._journal is not None:
            self._journal.count_swallowed()

    def close(self) -> None:
        """Let go of everything: our attributes, the shadows, the journal."""
        with self._lock:
            self._closed = True
            for processor in list(self._processors):
                halves: Halves | None = vars(processor).pop(HALVES, None)
                if halves is not None:
                    halves.close()
            self._processors.clear()
            if self._journal is not None:
                self._journal.close()


def _new_locks() -> None:
    for one in _all:
        one._after_fork_in_child()  # noqa: SLF001  the frontend's other half


os.register_at_fork(after_in_child=_new_locks)
