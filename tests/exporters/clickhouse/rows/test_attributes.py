"""Columns of attributes: as Arrow itself makes them of lists, or not at all."""

import subprocess
import sys
from array import array
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.exporters.clickhouse.rows import _native
from otel_llm.exporters.clickhouse.rows.attributes import Attribute, Shared, lists
from otel_llm.facts.step import Numbers

UNSIGNED = [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
INTEGERS = [*UNSIGNED, pa.int8(), pa.int16(), pa.int32(), pa.int64()]
DICTIONARY = pa.dictionary(pa.int32(), pa.string())
NEAR = [1 << bits for bits in (7, 8, 15, 16, 31, 32, 63, 64)]
NEAR += [0, 1, *(number - 1 for number in NEAR)]
NUMBERS = st.sampled_from([*NEAR, *(-number for number in NEAR)]) | st.integers()


class Held(msgspec.Struct):
    """Holds a value in a slot."""

    value: Any = None

    @property
    def same(self) -> object:
        """The value, by way of code."""
        return self.value


def _or_error(make: Callable[[], pa.Array]) -> pa.Array | None:
    try:
        return make()
    except (pa.ArrowInvalid, OverflowError, TypeError):
        return None


@given(st.sampled_from(INTEGERS), st.lists(NUMBERS | st.none() | st.just(value=True), max_size=20))
def test_integers(kind: pa.DataType, values: list[int | None]) -> None:
    """The same array, nulls included; or an error where one does not fit, or is a flag."""
    expected = _or_error(lambda: pa.array(values, kind))
    for name in ("value", "same"):
        made = _or_error(lambda: Attribute(list(map(Held, values)), name).array(kind))  # noqa: B023
        assert made == expected
        if made is not None:
            made.validate(full=True)


FLOATS = st.floats(width=32)
OTHERS = [
    (pa.bool_(), st.booleans() | st.none() | st.integers(0, 2)),
    (pa.float32(), FLOATS | st.none() | st.integers(-5, 5)),
    (pa.timestamp("ns", "UTC"), st.integers(-(1 << 63), (1 << 63) - 1) | st.none()),
]


@pytest.mark.parametrize(("kind", "each"), OTHERS)
@given(data=st.data())
def test_numbers_that_are_no_integers(
    kind: pa.DataType, each: st.SearchStrategy[object], data: st.DataObject
) -> None:
    """The same; no integer's bits are taken for a fraction, and only True and False for flags."""
    values = data.draw(st.lists(each, max_size=20))
    expected = _or_error(lambda: pa.array(values, kind))
    made = _or_error(lambda: Attribute(list(map(Held, values)), "value").array(kind))
    assert (made is None) == (expected is None)
    if made is not None and expected is not None:
        made.validate(full=True)
        assert list(map(str, made)) == list(map(str, expected))  # NaN is not NaN, but reads so


@given(st.sampled_from(INTEGERS), st.lists(st.lists(NUMBERS, max_size=5), max_size=9))
def test_lists_of_integers(kind: pa.DataType, values: list[list[int]]) -> None:
    """The same, list by list."""
    of_lists = pa.list_(pa.field("item", kind, nullable=False))
    expected = _or_error(lambda: pa.array(values, of_lists))
    for form in (list, tuple):
        held = [Held(form(value)) for value in values]
        assert _or_error(lambda: Attribute(held, "value").array(of_lists)) == expected  # noqa: B023


@given(st.lists(st.text() | st.none(), max_size=20))
def test_texts(values: list[str | None]) -> None:
    """The same array; as a dictionary each text once, and the empty one where there is none."""
    held = list(map(Held, values))
    made = Attribute(held, "value").array(pa.string())
    made.validate(full=True)
    assert made == pa.array(values, pa.string())
    texts = [value or "" for value in values]
    assert Attribute(held, "value").array(DICTIONARY).to_pylist() == texts
    assert Attribute(held, "value").array(DICTIONARY).dictionary == pa.array(
        list(dict.fromkeys(texts)), pa.string()
    )


@given(st.lists(st.lists(st.sampled_from(["gemm", "copy"]), max_size=3), max_size=9))
def test_lists_of_texts(values: list[list[str]]) -> None:
    """A dictionary of all lists' texts."""
    made = Attribute(list(map(Held, values)), "value").array(pa.list_(DICTIONARY))
    assert made.to_pylist() == values


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_shared(which: list[int]) -> None:
    """An object that several facts have is looked at once, by what it is and not by its value."""
    owners = [SimpleNamespace(number=number // 2, text=str(number // 2)) for number in range(4)]
    shared = Shared([Held(owners[number]) for number in which], "value")
    assert list(map(id, shared.each)) == list(dict.fromkeys(id(owners[one]) for one in which))
    of_each = [number // 2 for number in which]
    assert shared.attribute("number").array(pa.uint16()).to_pylist() == of_each
    for kind in (DICTIONARY, pa.string()):
        assert shared.attribute("text").array(kind).to_pylist() == list(map(str, of_each))
    rows = pa.array([0, 0, len(which) - 1], pa.int32())
    some = shared.attribute("number").repeated(rows)
    assert some.array(pa.uint64()).to_pylist() == [of_each[0], of_each[0], of_each[-1]]
    again = some.repeated(pa.array([2, 0], pa.int32()))
    assert again.array(pa.uint64()).to_pylist() == [of_each[-1], of_each[0]]


def test_objects_of_several_types() -> None:
    """An attribute is found where the first object's type does not have it, or has it elsewhere."""
    held = [Held(1), SimpleNamespace(value=2), Held(3)]
    for objects in (held, held[::-1], held[1:]):
        made = Attribute(objects, "value").array(pa.int64())
        assert made.to_pylist() == [one.value for one in objects]
    with pytest.raises(AttributeError):
        Attribute([Held(), SimpleNamespace()], "value").array(pa.string())


class Growing:
    """Lengthens the list that it is in as its value is asked for."""

    def __init__(self, of: list[Any]) -> None:
        self._of = of

    @property
    def value(self) -> str:
        """Any text."""
        self._of += [self] * 9
        return "text"


@pytest.mark.parametrize("kind", [pa.string(), DICTIONARY])
def test_a_list_that_grows_meanwhile(kind: pa.DataType) -> None:
    """The column has as many entries as there were: what lies after them is not read."""
    objects: list[Any] = []
    objects.append(Growing(objects))
    made = Attribute(objects, "value").array(kind)
    made.validate(full=True)
    assert made.to_pylist() == ["text"]
    before = len(objects)
    assert len(Shared(objects, "value").places) == before


@pytest.mark.parametrize("kind", [pa.uint64(), pa.string(), DICTIONARY, pa.list_(pa.uint8())])
def test_what_is_no_such_value(kind: pa.DataType) -> None:
    """Raises; nothing is guessed."""
    with pytest.raises(TypeError):
        Attribute([Held(1.5)], "value").array(kind)


def test_half_a_character() -> None:
    """A text that no column can hold raises."""
    for kind in (pa.string(), DICTIONARY):
        with pytest.raises(UnicodeEncodeError):
            Attribute([Held("\ud800")], "value").array(kind)


@given(st.sampled_from([4, 8]), st.lists(st.lists(st.integers(0, (1 << 32) - 1))))
def test_members(width: int, parts: list[Numbers]) -> None:
    """Members of all steps, where each step's end, and their sums."""
    values, ends, sums = _native.members([array("q", part).tobytes() for part in parts], width)
    kind = {4: pa.uint32(), 8: pa.uint64()}[width]
    flat = pa.Array.from_buffers(kind, len(values) // width, [None, pa.py_buffer(values)])
    assert lists(ends, flat).to_pylist() == parts
    assert np.frombuffer(sums, np.int64).tolist() == list(map(sum, parts))


@pytest.mark.parametrize(("number", "width"), [(1 << 32, 4), (-1, 4), (-1, 8)])
def test_members_that_do_not_fit(number: int, width: int) -> None:
    """One of them is enough."""
    with pytest.raises(OverflowError):
        _native.members([array("q", [1, number, 2]).tobytes()], width)
    with pytest.raises(ValueError, match="eight bytes"):
        _native.members([b"1234567"], width)


UNCOMPILED = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.endswith("rows._native"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import otel_llm.exporters.clickhouse.rows
"""


def test_what_is_not_compiled_is_named() -> None:
    """A tree that was fetched anew and not installed again says what it lacks."""
    done = subprocess.run(
        [sys.executable, "-c", UNCOMPILED], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: No module named 'otel_llm.exporters.clickhouse.rows._native'"
    )
