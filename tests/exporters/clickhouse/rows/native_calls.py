"""Calls of the C of the columns; run by itself, with a sanitized `_native` on the path."""

import contextlib
import random
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


def main() -> None:
    """Each kind of call with each kind of value, and at random."""
    chance = random.Random(1)
    for count in (0, 1, 7, 8, 9, 64, 1000):
        for value in VALUES:
            _all([value] * count, None)
            _all([Slots(value)] * count, "value")
        some = [chance.choice(VALUES) for _ in range(count)]
        _all([chance.choice((Slots(one), SimpleNamespace(value=one))) for one in some], "value")
        texts = [f"{chance.random()}" * chance.randrange(9) for _ in range(count)]
        _all(texts, None)
        _all([[chance.randrange(200)] * chance.randrange(99) for _ in range(count)], None)
        parts = [array("q", range(chance.randrange(99))).tobytes() for _ in range(count)]
        for width in (4, 8, 3):
            _try(_native.members, parts, width)
            _try(_native.members, [*parts, array("q", [-1, 1 << 40]).tobytes()], width)
            _try(_native.members, [*parts, b"123"], width)
    _all([], 3)
    _try(_native.members, ["text"], 4)
    for call, *args in (
        (_native.integers, 8, True), (_native.integer_lists, 8, True), (_native.texts,),
        (_native.places, True), (_native.places, False),
    ):  # fmt: skip
        _shrinking(call, *args)


if __name__ == "__main__":
    main()
