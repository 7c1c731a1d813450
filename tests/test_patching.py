"""Patches: applied all or none, undone to the very objects that were there."""

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from otel_llm.patching import Patch, PatchSet, Replacement

CALLS: list[str] = []


def telling(function: Callable[..., Any]) -> Callable[..., Any]:
    """A hook: tells, then calls the original."""

    def told(*args: object, **kwargs: object) -> object:
        CALLS.append(getattr(function, "__name__", "?"))
        return function(*args, **kwargs)

    return told


class Base:
    """A host class with every kind of function."""

    limit = 3

    def method(self) -> str:
        """Return own name."""
        return f"method of {type(self).__name__}"

    @staticmethod
    def static(value: int) -> int:
        """Return twice the value."""
        return 2 * value

    @classmethod
    def made(cls) -> str:
        """Return the class's name."""
        return cls.__name__

    @property
    def size(self) -> int:
        """Return a number."""
        return 4


class Child(Base):
    """Inherits everything."""


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


def one(owner: object, name: str) -> PatchSet:
    """A patch set with one hook."""
    return PatchSet(Patch("hook", (Replacement(owner, name, telling),)))


@pytest.mark.parametrize("name", ["method", "static", "made"])
def test_undo_puts_back_the_very_object(name: str) -> None:
    """Functions, staticmethods and classmethods work when patched and are restored as they were."""
    before = vars(Base)[name]
    argument = (4,) if name == "static" else ()
    result = getattr(Base(), name)(*argument)
    patches = one(Base, name)
    assert patches.apply() == []
    assert type(vars(Base)[name]) is type(before)
    assert getattr(Base(), name)(*argument) == result
    of_child = result.replace("Base", "Child") if isinstance(result, str) else result
    assert getattr(Child(), name)(*argument) == of_child
    assert 2 * [name] == CALLS
    assert patches.undo() == []
    assert vars(Base)[name] is before
    getattr(Base(), name)(*argument)
    assert 2 * [name] == CALLS


def test_an_inherited_function_is_patched_where_asked() -> None:
    """A hook on a child leaves the base alone, and undo leaves the child without an own entry."""
    patches = one(Child, "method")
    assert patches.apply() == []
    Base().method()
    assert CALLS == []
    Child().method()
    assert CALLS == ["method"]
    assert patches.undo() == []
    assert "method" not in vars(Child)


def test_modules_and_objects() -> None:
    """Functions of modules and of single objects can be patched as well."""
    module = ModuleType("host")
    module.work = len  # type: ignore[attr-defined]
    thing = Base()
    other = SimpleNamespace(call=len)
    patches = PatchSet(
        Patch("module", (Replacement(module, "work", telling),)),
        Patch("object", (Replacement(thing, "method", telling),)),
        Patch("own", (Replacement(other, "call", telling),)),
    )
    assert patches.apply() == []
    assert (module.work("abc"), thing.method(), other.call("ab")) == (3, "method of Base", 2)
    assert CALLS == ["len", "method", "len"]
    assert patches.undo() == []
    assert module.work is len
    assert other.call is len
    assert vars(thing) == {}


def test_apply_twice_is_apply_once() -> None:
    """A second apply changes nothing, a second undo neither."""
    before = vars(Base)["method"]
    patches = one(Base, "method")
    assert patches.apply() == patches.apply() == []
    assert list(patches.applied) == ["hook"]
    Base().method()
    assert CALLS == ["method"]
    assert patches.undo() == patches.undo() == []
    assert not list(patches.applied)
    assert vars(Base)["method"] is before


@pytest.mark.parametrize(
    ("owner", "name", "reason"),
    [
        (Base, "gone", "Base has no attribute gone"),
        (Base, "limit", "Base.limit is no function but int"),
        (Base, "size", "Base.size is no function but property"),
        (ModuleType("m"), "gone", "m has no attribute gone"),
        (int, "bit_length", "immutable"),
        (object(), "x", "__dict__"),
    ],
)
def test_a_patch_is_all_or_nothing(owner: object, name: str, reason: str) -> None:
    """A patch that fails halfway leaves nothing behind and says why; the others are applied."""
    before = vars(Base)["method"], vars(Base)["static"]
    patches = PatchSet(
        Patch("broken", (Replacement(Base, "method", telling), Replacement(owner, name, telling))),
        Patch("whole", (Replacement(Base, "static", telling),)),
    )
    (problem,) = patches.apply()
    assert problem.patch == "broken"
    assert reason in problem.reason
    assert vars(Base)["method"] is before[0]
    assert patches.applied == ("whole",)
    assert patches.undo() == []
    assert vars(Base)["static"] is before[1]


def test_a_hook_that_cannot_be_made_leaves_nothing() -> None:
    """An unexpected error while a hook is made passes on, with the patch rolled back."""

    def broken(_: Callable[..., Any]) -> Callable[..., Any]:
        raise ZeroDivisionError

    before = vars(Base)["method"]
    patches = PatchSet(
        Patch("p", (Replacement(Base, "method", telling), Replacement(Base, "made", broken)))
    )
    with pytest.raises(ZeroDivisionError):
        patches.apply()
    assert vars(Base)["method"] is before
    assert patches.applied == ()


def test_undo_goes_backwards() -> None:
    """Two patches of one function come off in reverse and leave the original."""
    before = vars(Base)["method"]
    patches = PatchSet(
        Patch("first", (Replacement(Base, "method", telling),)),
        Patch("second", (Replacement(Base, "method", telling),)),
    )
    patches.apply()
    Base().method()
    assert len(CALLS) == 2
    assert patches.undo() == []
    assert vars(Base)["method"] is before


def test_somebody_else_s_later_patch_is_left_alone() -> None:
    """Undo refuses to throw away a later patch, says where, and succeeds once that is gone."""
    before = vars(Base)["method"], vars(Base)["static"]
    patches = PatchSet(
        Patch("both", (Replacement(Base, "method", telling), Replacement(Base, "static", telling)))
    )
    patches.apply()
    ours = vars(Base)["method"]
    theirs = telling(ours)
    Base.method = theirs  # type: ignore[method-assign]
    (problem,) = patches.undo()
    assert problem.patch == "both"
    assert "Base.method has been patched by somebody else" in problem.reason
    assert vars(Base)["method"] is theirs
    assert patches.applied == ("both",)
    Base.method = ours  # type: ignore[method-assign]
    assert patches.undo() == []
    assert (vars(Base)["method"], vars(Base)["static"]) == before
