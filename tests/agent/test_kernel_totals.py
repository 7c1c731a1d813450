"""Ten seconds of kernels by name, and the sums of steps."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import msgspec
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.agent import kernel_totals
from otel_llm.agent.kernel_sums import has_sums, kernel_sums
from otel_llm.agent.kernel_totals import (
    MOST_NAMES,
    MOST_NS,
    MOST_OPEN,
    OpenKernelTotals,
    Sums,
)
from otel_llm.clock import EpochNs
from otel_llm.conventions import Tables
from otel_llm.exporters.clickhouse.rows import Block, encode_blocks
from otel_llm.facts import StepKernels
from otel_llm.facts.joined import JoinedKernels, KernelTotals, StepKernelSums
from otel_llm.kernels.columns import UNKNOWN, Kernels
from otel_llm.kernels.sums import TEN_S_NS, Origin, step_sums
from tests.agent.builders import ENGINE, anchor, at, kernels, wall

TEN_S_MS = 10_000


def sums(facts: list[KernelTotals]) -> dict[tuple[int, str], tuple[int, int, int, int]]:
    """Kernels, time, shortest and longest by ten seconds and name."""
    found: dict[tuple[int, str], tuple[int, int, int, int]] = {}
    for fact in facts:
        columns = zip(
            fact.names, fact.kernels, fact.total_ns, fact.min_ns, fact.max_ns, strict=True
        )
        for name, count, total, low, high in columns:
            old = found.get((fact.time_ns, name), (0, 0, low, high))
            new = (old[0] + count, old[1] + total, min(old[2], low), max(old[3], high))
            found[fact.time_ns, name] = new
    return found


def test_ten_seconds() -> None:
    """Kernels are counted in the ten seconds of the wall clock in which they began."""
    ours = OpenKernelTotals(ENGINE)
    assert not ours.add(kernels(1, 9_999.999), anchor())
    assert not ours.add(kernels(2, 10_004), anchor())
    early, late = wall(0), wall(TEN_S_MS)
    assert not ours.give_before(EpochNs(wall(2 * TEN_S_MS) - 1))
    assert sums(ours.give_before(wall(2 * TEN_S_MS))) == {
        (early, "gemm"): (1, 1_500, 1_500, 1_500),
    }  # fmt: skip
    assert sums(ours.give_all()) == {
        (late, "attention"): (2, 5_000, 2_500, 2_500),
        (late, "gemm"): (3, 2_900, 700, 1_500),
    }
    assert not ours.give_all()


VARIANTS: tuple[dict[str, Any], ...] = (
    {"names": ["norm", "gemm"], "name_index": [0, 1, 0]},
    {"name_index": [1, 1, 0]},
    {"device": "GPU-9"},
    {"source": "cuda_event"},
    {"offset_ns": [0, 6_000_000_000, 12_000_000_000]},
    {"offset_ns": [0, 9_999_999_999, 10_000_000_000]},
    {"names": [], "name_index": [], "offset_ns": [], "duration_ns": []},
)
"""Steps that are not alike, each in another way."""
Take = Callable[[OpenKernelTotals], list[KernelTotals]]


Event = tuple[Take, list[KernelTotals]]


@st.composite
def steps_and_sums(draw: st.DrawFn) -> Event:
    """Something to take in, and the same kernels one by one, each a fact of its own."""
    milliseconds = draw(st.sampled_from([0, 0, 1, 10_000]) | st.integers(0, 25_000))
    if draw(st.integers(0, 3)) == 0:
        began = wall(milliseconds)
        columns = (np.array([each]) for each in (began, 0, 0, 2, 9, 4, 5))
        summed = Sums(["gemm"], ["cpu:0"], 0, "cpu", *columns)
        alone = single("cpu", "cpu:0", began, "gemm", 2, 9, 4, 5)
        return lambda ours: ours.add_sums(summed), [alone]
    step = msgspec.structs.replace(
        kernels(1, milliseconds), **draw(st.just({}) | st.sampled_from(VARIANTS))
    )
    lasted = [draw(st.integers(0, 99)) for _ in step.duration_ns]
    step = msgspec.structs.replace(step, duration_ns=lasted)
    base = anchor().wall(step.base_ns)
    return lambda ours: ours.add(step, anchor()), [
        single(step.source, step.device, base + offset, step.names[place], 1, each, each, each)
        for place, offset, each in zip(step.name_index, step.offset_ns, lasted, strict=True)
    ]


def single(source: str, device: str, began_ns: int, name: str, *parts: int) -> KernelTotals:
    """Some kernels of one name, all alone."""
    many, total, shortest, longest = parts
    begun = EpochNs(began_ns // TEN_S_NS * TEN_S_NS)
    return KernelTotals(
        producer=ENGINE, source=source, device=device, time_ns=begun, names=[name], classes=[""],
        kernels=[many], total_ns=[total], min_ns=[shortest], max_ns=[longest],
    )  # fmt: skip


def by_device(facts: list[KernelTotals]) -> dict[tuple[str, str], dict[tuple[int, str], Any]]:
    """As `sums`, by source and device."""
    whose = dict.fromkeys((fact.source, fact.device) for fact in facts)
    return {
        one: sums([fact for fact in facts if (fact.source, fact.device) == one]) for one in whose
    }


THEN = st.sampled_from(["", "", "", "save", "fail", "die", "over"])


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(steps_and_sums(), st.lists(THEN, min_size=1, max_size=4)), max_size=20),
    st.sampled_from([(1, 4), (2, 2), (64, 4_096)]),
    st.sampled_from([1, 2, 4_096]),
)
def test_each_kernel_is_counted_once(
    events: list[tuple[Event, list[str]]], most: tuple[int, int], alike: int
) -> None:
    """However steps follow one another, whatever has to make room, and whenever the agent dies."""
    with (
        mock.patch.object(kernel_totals, "MOST_OPEN", most[0]),
        mock.patch.object(kernel_totals, "MOST_NAMES", most[1]),
        mock.patch.object(kernel_totals, "MOST_ALIKE", alike),
    ):
        ours = OpenKernelTotals(ENGINE)
        saved: dict[int | str, bytes] = {}
        kept: list[KernelTotals] = []
        fresh: list[KernelTotals] = []
        unsaved: list[Take] = []
        for take, then in ((take, then) for (take, _), each in events for then in each):
            unsaved.append(take)
            fresh += take(ours)
            assert len(ours) <= most[0]
            assert ours._alike is None or len(ours._alike.durations_ns) <= alike
            assert all(len(one.by_name) < most[1] for one in ours)
            if then == "over":
                unsaved.append(over)
                fresh += over(ours)
            elif then in ("save", "fail"):
                changes = ours.changes()
                if then == "save":
                    saved |= {key: body for _, key, body in changes if body is not None}
                    for _, key, body in changes:
                        if body is None:
                            del saved[key]
                    ours.saved()
                    kept, fresh, unsaved = [*kept, *fresh], [], []
            elif then == "die":  # what was not saved is read once more
                ours = OpenKernelTotals(ENGINE)
                ours.restore([("kernels_10s", key, body) for key, body in saved.items()])
                fresh = [fact for again in unsaved for fact in again(ours)]
        found = by_device([*kept, *fresh, *ours.give_all()])
    assert found == by_device([one for (_, alone), each in events for one in alone * len(each)])


def over(ours: OpenKernelTotals) -> list[KernelTotals]:
    """The first ten seconds are over."""
    return ours.give_before(wall(20_000))


def test_bounds() -> None:
    """Many names, many ten seconds and absurd durations take bounded memory and lose no kernel."""
    ours = OpenKernelTotals(ENGINE)
    count = MOST_NAMES + 50
    many = msgspec.structs.replace(
        kernels(), names=[f"k{n}" for n in range(count)], name_index=list(range(count)),
        offset_ns=[0] * count, duration_ns=[1] * count,
    )  # fmt: skip
    [full] = ours.add(many, anchor())
    assert len(full.names) == MOST_NAMES
    assert sum(fact.kernels[0] for fact in ours.give_all() for _ in fact.names) == 50
    given_up = [
        fact for n in range(MOST_OPEN + 5) for fact in ours.add(kernels(1, n * TEN_S_MS), anchor())
    ]
    assert len(given_up) == 5
    assert len(ours) == MOST_OPEN
    long = msgspec.structs.replace(kernels(), duration_ns=[MOST_NS - 1] * 3)
    ours = OpenKernelTotals(ENGINE)
    for _ in range(3):
        ours.add(long, anchor())
    assert max(max(fact.total_ns) for fact in ours.give_all()) == MOST_NS


def test_step_sums() -> None:
    """Each record of kernels has its own sums, on its own clock; operations launch themselves."""
    other = msgspec.structs.replace(kernels(2, 50), source="cupti", device="GPU-1")
    nothing = msgspec.structs.replace(
        kernels(3), names=[], name_index=[], offset_ns=[], duration_ns=[]
    )
    facts = [
        JoinedKernels(ENGINE, anchor(), kernels(1, 3.5)),
        JoinedKernels(ENGINE, anchor(), nothing),
        JoinedKernels(ENGINE, anchor(wall_step_ns=7), other, incomplete=True),
        JoinedKernels(ENGINE, anchor(), kernels(4), summed=True),
    ]
    assert list(map(has_sums, facts)) == [True, False, True, False]
    block = kernel_sums(list(filter(has_sums, facts)))
    assert (block.table, block.rows) == (Tables.STEP_KERNELS, 2)
    sums = pa.ipc.open_stream(block.body).read_all()
    start = sums.column("start").cast(pa.int64()).to_pylist()
    first, second = sums.drop_columns("start").to_pylist()
    assert (first["step_seq"], first["source"], first["device"]) == (1, "cpu", "cpu:0")
    assert (first["rank"], first["busy_bound"], first["incomplete"]) == (0, False, False)
    assert start[0] == anchor().wall(at(3.5))
    assert (first["span_ns"], first["busy_ns"]) == (5_700, 4_700)
    assert (first["launch_gap_ns"], first["wait_gap_ns"]) == (1_000, 0)
    by_class = zip(first["class"], first["kernels"], first["kernel_ns"], strict=True)
    assert {kind: (count, time) for kind, count, time in by_class} == {
        "gemm": (2, 2_200), "attention": (1, 2_500),
    }  # fmt: skip
    assert (second["step_seq"], second["device"], second["incomplete"]) == (2, "GPU-1", True)
    assert (second["launch_gap_ns"], second["wait_gap_ns"]) == (0, 0)
    assert start[1] == anchor().wall(at(50)) + 7
    assert second["clock_offset_ns"] - first["clock_offset_ns"] == 7


def of_one_step(fact: JoinedKernels) -> StepKernelSums:
    """A step's sums, made for it alone, on its own clock."""
    told = fact.kernels
    start = np.array(told.offset_ns) + told.base_ns
    nothing = np.zeros(len(start), np.int64)
    columns = Kernels(
        told.names, [told.device], nothing + told.seq, np.array(told.name_index), start,
        np.array(told.duration_ns), nothing, nothing, nothing,
        start if told.source == "cpu" else nothing + UNKNOWN,
    )  # fmt: skip
    [alone] = step_sums(columns, Origin(fact.producer, fact.anchor, told.source))
    return msgspec.structs.replace(alone, incomplete=fact.incomplete)


def rows_of(block: Block) -> list[dict[str, Any]]:
    """The block's rows; times as nanoseconds, since Python's know none."""
    table = pa.ipc.open_stream(block.body).read_all()
    for place, column in enumerate(table.columns):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(place, table.column_names[place], column.cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


KERNEL = st.tuples(
    st.integers(0, 1), st.sampled_from([0, 1, 50]) | st.integers(0, 1 << 40), st.integers(0, 99)
)


@given(
    st.lists(
        st.tuples(
            st.lists(KERNEL, min_size=1, max_size=5),
            st.sampled_from([["gemm", "attention"], ["ncclAllReduce", "memcpy"], ["a", "gemm"]]),
            st.sampled_from(["cpu", "cuda_event"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_sums_of_many_steps_are_those_of_each(steps: list[Any]) -> None:
    """Made together, each step's row is the one that it has alone, column by column."""
    facts = []
    for seq, (each, names, source, incomplete) in enumerate(steps):
        index, offset, lasted = map(list, zip(*sorted(each, key=lambda one: one[1]), strict=True))
        told = msgspec.structs.replace(
            kernels(seq % 3, seq * 7), names=names, name_index=index, offset_ns=offset,
            duration_ns=lasted, source=source, device=f"GPU-{seq % 2}",
        )  # fmt: skip
        facts.append(JoinedKernels(ENGINE, anchor(wall_step_ns=seq), told, incomplete=incomplete))
    [block] = encode_blocks(list(map(of_one_step, facts)))
    assert rows_of(kernel_sums(facts)) == rows_of(block)


def test_dictionaries_hold_each_value_once() -> None:
    """Many facts make a block that ClickHouse reads: no value twice in a dictionary."""
    facts = [JoinedKernels(ENGINE, anchor(), kernels(n, n)) for n in range(1, 4)]
    [block] = encode_blocks(facts)
    table = pa.ipc.open_stream(block.body).read_all()
    for column in table.columns:
        for chunk in column.chunks:
            if pa.types.is_dictionary(chunk.type):
                values = chunk.dictionary.to_pylist()
                assert len(values) == len(set(values))
    assert table.column("step_seq").to_pylist() == [1] * 3 + [2] * 3 + [3] * 3
    assert table.column("name").to_pylist() == ["gemm", "attention", "gemm"] * 3
    assert isinstance(kernels(), StepKernels)
