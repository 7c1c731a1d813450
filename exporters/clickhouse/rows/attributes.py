"""Columns of values as they stand in attributes of objects; no row is made in between.

What is done for each value is compiled, see `native`. Its buffers are Arrow's arrays as they are.
"""

from itertools import accumulate, chain
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

import otel_llm.exporters.clickhouse.rows._native as _native


class Attribute(NamedTuple):
    """An attribute of some objects, until the type of its column is known.

    Attributes:
        objects: they.
        name: of the attribute.
        places: shape (entries,); for each entry of the column the number of its object. None where
            each object is one entry.
    """

    objects: list[Any]
    name: str
    places: pa.Array | None = None

    def array(self, kind: pa.DataType) -> pa.Array:
        """The column.

        Raises:
            Exception: a value does not fit the type.
        """
        values = _values(self.objects, self.name, kind)
        return values if self.places is None else laid_out(values, self.places)

    def repeated(self, rows: pa.Array) -> "Attribute":
        """The same for other entries: of those here, the ones with these numbers."""
        places = rows if self.places is None else self.places.take(rows)
        return Attribute(self.objects, self.name, places)


class Shared:
    """Objects that facts share, each looked at once for all of its facts.

    Args:
        facts: most of them share the same few.
        name: of their attribute that holds the object.

    Attributes:
        each: the distinct objects.
        places: shape (facts,); for each fact the number of its object.
    """

    def __init__(self, facts: list[Any], name: str) -> None:
        places, self.each = _native.places(facts, name, False)
        self.places = whole_numbers(pa.int32(), places)

    def attribute(self, name: str) -> Attribute:
        """An attribute of the objects, laid out fact by fact."""
        return Attribute(self.each, name, self.places)


def laid_out(values: pa.Array, places: pa.Array) -> pa.Array:
    """Those at some places. Arrow's own way takes three times as long where there are few."""
    if not pa.types.is_dictionary(values.type):
        return values.take(places)
    indices = pa.array(values.indices.to_numpy()[places.to_numpy()])
    return pa.DictionaryArray.from_arrays(indices, values.dictionary)


def lists(ends: bytes, values: pa.Array) -> pa.Array:
    """Lists of values, as a table's schema has them: none is null.

    Args:
        ends: shape (lists + 1,); 32-bit numbers: where each list begins, and the last ends.
        values: of all lists, one after another.
    """
    kind = pa.list_(pa.field("item", values.type, nullable=False))
    buffers = [None, pa.py_buffer(ends)]
    return pa.Array.from_buffers(kind, _count(ends), buffers, 0, children=[values])


def whole_numbers(kind: pa.DataType, values: bytes) -> pa.Array:
    """An array over the bytes of its integers."""
    return _integers(kind, None, values)


# The objects' own code may change their list meanwhile, so how many entries there are is read off
# what was made.


def _values(objects: list[Any], name: str | None, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return _dictionary(objects, name, kind)
    if pa.types.is_list(kind):
        return _lists(objects, name, kind.value_type)
    if pa.types.is_string(kind):
        valid, ends, texts = _native.texts(objects, name)
        return _over(kind, _count(ends), valid, ends, texts)
    if pa.types.is_integer(kind):
        return _integers(kind, *_native.integers(objects, name, *_form(kind)))
    return pa.array(_each(objects, name), kind)


def _form(kind: pa.DataType) -> tuple[int, bool]:
    return kind.bit_width // 8, pa.types.is_signed_integer(kind)


def _dictionary(objects: list[Any], name: str | None, kind: pa.DataType) -> pa.Array:
    places, each = _native.places(objects, name, True)
    indices = whole_numbers(kind.index_type, places)
    return pa.DictionaryArray.from_arrays(indices, pa.array(each, kind.value_type))


def _lists(objects: list[Any], name: str | None, kind: pa.DataType) -> pa.Array:
    if pa.types.is_integer(kind):
        ends, values = _native.integer_lists(objects, name, *_form(kind))
        return lists(ends, whole_numbers(kind, values))
    of_each = _each(objects, name)
    places = np.fromiter(accumulate(map(len, of_each), initial=0), np.int32, len(of_each) + 1)
    return lists(places.tobytes(), _values(list(chain.from_iterable(of_each)), None, kind))


def _each(objects: list[Any], name: str | None) -> list[Any]:
    return list(map(attrgetter(name), objects[:])) if name else objects


def _integers(kind: pa.DataType, valid: bytes | None, values: bytes) -> pa.Array:
    return _over(kind, len(values) // (kind.bit_width // 8), valid, values)


def _count(ends: bytes) -> int:
    """How many entries have these ends, of which the first is where they begin."""
    return len(ends) // 4 - 1


def _over(kind: pa.DataType, count: int, valid: bytes | None, *buffers: bytes) -> pa.Array:
    every = [None if valid is None else pa.py_buffer(valid), *map(pa.py_buffer, buffers)]
    return pa.Array.from_buffers(kind, count, every, 0 if valid is None else -1)
