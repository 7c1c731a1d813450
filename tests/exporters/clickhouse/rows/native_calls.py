"""Calls of the C of the columns; run by itself, with a sanitized `_native` on the path.

The sanitizer tells of memory of our own that nothing leads to any more. What is Python's is counted
here: what the garbage collector knows of, references to values, and Python's blocks.
"""

import contextlib
import gc
import random
import sys
from array import array
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import _native  # type: ignore[import-not-found]


class Slots:
    """Holds a value in a slot."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:  # noqa: ANN401  any
        self.value = value


class Shrinking:
    """Empties the list that it is in as its value is asked for."""

    def __init__(self, of: list[Any]) -> None:
        self._of = of

    @property
    def value(self) -> object:
        """A new object; all before it may be gone."""
        self._of.clear()
        return str(random.random())


WIDE = [0, 1, -1, 1 << 7, 1 << 15, (1 << 31) - 1, 1 << 32, (1 << 63) - 1, 1 << 64, -(1 << 63)]
VALUES = [*WIDE, None, "", "text", "é" * 40, "\ud800", b"x", 1.5, [], [1, 2], [None], [1 << 40], ()]
COUNTED = [*WIDE[4:], *VALUES[len(WIDE) + 2 : -1], "value", Slots.__dict__["value"]]
"""What the C gets hold of, without what Python itself has only one of."""
ERRORS = (AttributeError, IndexError, OverflowError, TypeError, ValueError)


def _try(call: Callable[..., object], *args: object) -> None:
    with contextlib.suppress(ERRORS):
        call(*args)


def _all(objects: list[Any], name: object) -> None:
    for width in (0, 1, 2, 3, 4, 8, -8):
        for signed in (False, True):
            _try(_native.integers, list(objects), name, width, signed)
            _try(_native.integer_lists, list(objects), name, width, signed)
    _try(_native.texts, list(objects), name)
    for by_text in (False, True):
        _try(_native.places, list(objects), name, by_text)


def _shrinking(call: Callable[..., object], *args: object) -> None:
    objects: list[Any] = []
    objects += [Slots("a"), Shrinking(objects), Slots("b"), Shrinking(objects)]
    _try(call, objects, "value", *args)


class Index:
    """Changes the list that it is in as it is asked for its number."""

    def __init__(self, of: list[Any], grow: bool) -> None:
        self._of, self._grow = of, grow

    def __index__(self) -> int:
        if self._grow:
            self._of.extend([1] * 1000)
        else:
            self._of.clear()
        return 1


def _at_random(chance: random.Random, count: int) -> None:
    some = [chance.choice(VALUES) for _ in range(count)]
    _all([chance.choice((Slots(one), SimpleNamespace(value=one))) for one in some], "value")
    texts: list[Any] = [f"{chance.random()}" * chance.randrange(9) for _ in range(count)]
    _all(texts, None)
    _all([*texts, b"x"], None)
    _all([[chance.randrange(200)] * chance.randrange(99) for _ in range(count)], None)
    parts = [array("q", range(chance.randrange(99))).tobytes() for _ in range(count)]
    for width in (4, 8, 3):
        _try(_native.members, parts, width)
        _try(_native.members, [*parts, array("q", [-1, 1 << 40]).tobytes()], width)
        _try(_native.members, [*parts, b"123"], width)


def calls() -> None:
    """Each kind of call with each kind of value, and at random."""
    chance = random.Random(1)
    for count in (0, 1, 7, 8, 9, 64, 300):
        for value in VALUES:
            _all([value] * count, None)
            _all([Slots(value)] * count, "value")
        _at_random(chance, count)
    _all([], 3)
    _try(_native.members, ["text"], 4)
    for call, *args in (
        (_native.integers, 8, True), (_native.integer_lists, 8, True), (_native.texts,),
        (_native.places, True), (_native.places, False),
    ):  # fmt: skip
        _shrinking(call, *args)
    for grow in (False, True):
        changing: list[Any] = []
        changing += [Index(changing, grow), Index(changing, grow)]
        _try(_native.integer_lists, [changing], None, 8, True)


def _held() -> str:
    """How much of Python's there is; as a text, which the collector does not know."""
    gc.collect()
    blocks, references = sys.getallocatedblocks(), list(map(sys.getrefcount, COUNTED))
    return f"{len(gc.get_objects())} objects, {blocks} blocks, references {references}"


def main() -> None:
    """All of it again and again: the last time leaves nothing behind, nor has Python to begin."""
    before = after = _held()
    for _ in range(3):
        calls()
        before, after = after, _held()
    assert before == after, f"{before}, then {after}"


if __name__ == "__main__":
    main()
