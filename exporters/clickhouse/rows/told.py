"""Journals' records of kernels, laid out together: each tells of one step on one device."""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

import otel_llm.exporters.clickhouse.rows._native as _native
from otel_llm.facts.kernel import StepKernels

Ints = npt.NDArray[np.int64]


class Told(NamedTuple):
    """The kernels of all records, one after another.

    Attributes:
        record: shape (kernels,); number of the record of each.
        names: the distinct names of all.
        name: shape (kernels,); index into `names`.
        offset_ns: shape (kernels,); start of each, in nanoseconds after its record's `base_ns`.
        duration_ns: shape (kernels,); duration of each, in nanoseconds.
    """

    record: npt.NDArray[np.int32]
    names: list[str]
    name: npt.NDArray[np.int32]
    offset_ns: Ints
    duration_ns: Ints


def told(records: Sequence[StepKernels]) -> Told:
    """All of their kernels.

    Raises:
        Exception: an index is of no name, a record's lists differ in length, or a number has more
            than 63 bits.
    """
    records = list(records)
    ends, places = _column(records, "name_index")
    name, names = _named(records, ends, places)
    return Told(
        np.repeat(np.arange(len(records), dtype=np.int32), np.diff(ends).astype(np.int64)),
        names,
        name,
        _beside(ends, records, "offset_ns"),
        _beside(ends, records, "duration_ns"),
    )


def _beside(ends: npt.NDArray[np.int32], records: list[StepKernels], field: str) -> Ints:
    """The numbers of another list of each record, as long as the one that ends there.

    Looked at record by record: what one has too many could make up for what another has too few,
    and both would get wrong times.
    """
    others, numbers = _column(records, field)
    if not np.array_equal(ends, others):
        message = f"{field} and name_index differ in length"
        raise ValueError(message)
    return numbers


def _column(records: list[StepKernels], field: str) -> tuple[npt.NDArray[np.int32], Ints]:
    """Where each record's list begins and the last one ends, and the numbers of all."""
    ends, numbers = _native.integer_lists(records, field, 8, True)
    return np.frombuffer(ends, np.int32), np.frombuffer(numbers, np.int64)


def _named(
    records: list[StepKernels], ends: npt.NDArray[np.int32], places: Ints
) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Index of each kernel's name among those of all; most records have the names of the last."""
    if (places < 0).any():  # NumPy would count them from the end
        raise IndexError("an index is below 0")
    known: dict[str, int] = {}
    parts, done = [np.zeros(0, np.int32)], 0
    for names, same in groupby(records, attrgetter("names")):
        ours = np.array([known.setdefault(name, len(known)) for name in names], np.int32)
        begin, done = done, done + len(list(same))
        parts.append(ours[places[ends[begin] : ends[done]]])
    return np.concatenate(parts), list(known)
