"""Hooks put into somebody else's classes, and taken out again completely.

A `Patch` is a named group of replacements that belong together: all of them are made, or none. A
`PatchSet` applies patches in order and undoes them in reverse. Undoing puts back the very object
that was there before; where somebody has patched over a replacement since, it is left alone and
reported, because putting the original back would throw their patch away.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

Make = Callable[[Callable[..., Any]], Callable[..., Any]]

_ABSENT = object()


class Replacement(NamedTuple):
    """One attribute to be replaced.

    Attributes:
        owner: class, module or object that has the attribute, its own or inherited.
        name: the attribute's name.
        make: takes the function found there and returns the one to stand in its place. A
            staticmethod or classmethod is unpacked before and packed again after.
    """

    owner: object
    name: str
    make: Make


class Patch(NamedTuple):
    """Replacements that only make sense together."""

    name: str
    replacements: tuple[Replacement, ...]


class Problem(NamedTuple):
    """A patch that could not be applied or undone, and why."""

    patch: str
    reason: str


class _Made(NamedTuple):
    owner: object
    name: str
    original: object  # what stood in the owner's own namespace; _ABSENT if it was inherited
    replacement: object


class PatchSet:
    """Applies and undoes patches. Not thread-safe: call it where the host starts and ends.

    Args:
        patches: in the order in which to apply them.
    """

    def __init__(self, *patches: Patch) -> None:
        self._patches = patches
        self._made: dict[str, list[_Made]] = {}

    @property
    def applied(self) -> tuple[str, ...]:
        """Names of the patches in place, in the order in which they were applied."""
        return tuple(self._made)

    def apply(self) -> list[Problem]:
        """Apply every patch that is not in place yet; one that fails leaves nothing behind.

        Returns:
            The patches that could not be applied. The others are in place.
        """
        problems = []
        for patch in self._patches:
            if patch.name in self._made:
                continue
            try:
                self._made[patch.name] = _apply(patch)
            except (AttributeError, TypeError) as error:
                problems.append(Problem(patch.name, str(error)))
        return problems

    def undo(self) -> list[Problem]:
        """Undo every patch in place, the latest first.

        Returns:
            The patches over which somebody else has patched since. They stay in place, and
            another `undo` tries them again.
        """
        problems = []
        for name, made in reversed(list(self._made.items())):
            covered = [one for one in made if _own(one.owner, one.name) is not one.replacement]
            if covered:
                places = ", ".join(f"{_shown(one.owner)}.{one.name}" for one in covered)
                problems.append(Problem(name, f"{places} has been patched by somebody else since"))
                continue
            for one in reversed(made):
                _restore(one)
            del self._made[name]
        return problems


def _apply(patch: Patch) -> list[_Made]:
    made: list[_Made] = []
    try:
        for replacement in patch.replacements:
            made.append(_replace(replacement))  # noqa: PERF401  must be kept if a later one fails
    except BaseException:
        for done in reversed(made):
            _restore(done)
        raise
    return made


def _replace(replacement: Replacement) -> _Made:
    owner, name, make = replacement
    original = _own(owner, name)
    found = _inherited(owner, name) if original is _ABSENT else original
    new: object
    if isinstance(found, (staticmethod, classmethod)):
        new = type(found)(make(found.__func__))
    elif callable(found):
        new = make(found)
    else:
        message = f"{_shown(owner)}.{name} is no function but {type(found).__name__}"
        raise TypeError(message)
    setattr(owner, name, new)
    return _Made(owner, name, original, new)


def _restore(made: _Made) -> None:
    if made.original is _ABSENT:
        delattr(made.owner, made.name)
    else:
        setattr(made.owner, made.name, made.original)


def _own(owner: object, name: str) -> object:
    """The attribute in the owner's own namespace, descriptors unbound; `_ABSENT` if inherited."""
    return vars(owner).get(name, _ABSENT)


def _inherited(owner: object, name: str) -> object:
    if isinstance(owner, type):
        for base in owner.__mro__:
            if name in vars(base):
                return vars(base)[name]
    elif hasattr(owner, name) and not isinstance(owner, ModuleType):
        return getattr(owner, name)
    message = f"{_shown(owner)} has no attribute {name}"
    raise AttributeError(message)


def _shown(owner: object) -> str:
    return str(getattr(owner, "__qualname__", None) or getattr(owner, "__name__", type(owner)))
