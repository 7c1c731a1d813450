"""Hooks in and out of vLLM's classes, for the benchmark's rounds."""

from collections.abc import Iterator
from contextlib import contextmanager

from otel_llm.patching import PatchSet


@contextmanager
def in_place(hooks: PatchSet) -> Iterator[None]:
    """The hooks are in, and out again after.

    Raises:
        RuntimeError: one could not be put in.
    """
    switch(hooks, on=True)
    try:
        yield
    finally:
        switch(hooks, on=False)


def switch(hooks: PatchSet, *, on: bool) -> None:
    """Put the hooks in, or take them out.

    Raises:
        RuntimeError: one could not be.
    """
    problems = hooks.apply() if on else hooks.undo()
    if problems:
        message = f"hooks cannot be switched: {problems}"
        raise RuntimeError(message)
