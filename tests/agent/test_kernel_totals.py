"""Ten seconds of kernels by name, and the sums of steps."""

from collections import Counter

import msgspec
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.agent.kernel_sums import has_sums, kernel_sums
from otel_llm.agent.kernel_totals import MOST_NAMES, MOST_NS, MOST_OPEN, OpenKernelTotals
from otel_llm.clock import EpochNs
from otel_llm.conventions import Tables
from otel_llm.exporters.clickhouse.rows import encode_blocks
from otel_llm.facts import StepKernels
from otel_llm.facts.joined import JoinedKernels, KernelTotals
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


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 60_000), st.booleans()), max_size=25))
def test_dying_changes_nothing(steps: list[tuple[int, bool]]) -> None:
    """An agent that dies and goes on from its last save counts every kernel once."""
    whole, given_whole = OpenKernelTotals(ENGINE), []
    saved: list[tuple[str, int | str, bytes]] = []
    kept: list[KernelTotals] = []
    ours, fresh = OpenKernelTotals(ENGINE), []
    pending: list[int] = []
    for milliseconds, dies in steps:
        given_whole += whole.add(kernels(1, milliseconds), anchor())
        given_whole += whole.give_before(wall(milliseconds))
        pending.append(milliseconds)
        fresh += ours.add(kernels(1, milliseconds), anchor())
        fresh += ours.give_before(wall(milliseconds))
        if dies:  # what was not saved is read once more
            ours, fresh = OpenKernelTotals(ENGINE), []
            ours.restore(saved)
            for again in pending:
                fresh += ours.add(kernels(1, again), anchor())
                fresh += ours.give_before(wall(again))
        else:
            held = {key: body for _, key, body in saved}
            held |= {key: body for _, key, body in ours.changes() if body is not None}
            for _, key, body in ours.changes():
                if body is None:
                    held.pop(key, None)
            ours.saved()
            saved = [("kernels_10s", key, body) for key, body in held.items()]
            kept += fresh
            fresh, pending = [], []
    assert sums(kept + fresh + ours.give_all()) == sums(given_whole + whole.give_all())


VARIANTS = (
    {},
    {"names": ["norm", "gemm"], "name_index": [0, 1, 0]},
    {"name_index": [1, 1, 0]},
    {"device": "GPU-9"},
    {"source": "cuda_event"},
    {"names": [], "name_index": [], "offset_ns": [], "duration_ns": []},
)
"""Steps that are not alike, each in another way."""


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 25_000), st.integers(0, len(VARIANTS) - 1), st.integers(0, 50),
            st.booleans(),
        ),
        max_size=30,
    )
)  # fmt: skip
def test_steps_that_are_alike_are_counted_as_any(steps: list[tuple[int, int, int, bool]]) -> None:
    """However steps follow one another, sums are those of kernels counted one by one."""
    ours, wanted = OpenKernelTotals(ENGINE), Counter[tuple[str, str, int, str]]()
    given: list[KernelTotals] = []
    for milliseconds, variant, longer, is_saved in steps:
        one = msgspec.structs.replace(kernels(1, milliseconds), **VARIANTS[variant])
        one = msgspec.structs.replace(one, duration_ns=[n + longer for n in one.duration_ns])
        given += ours.add(one, anchor())
        for place, offset, duration in zip(
            one.name_index, one.offset_ns, one.duration_ns, strict=True
        ):
            began = (anchor().wall(one.base_ns) + offset) // (TEN_S_MS * 1_000_000)
            wanted[one.source, one.device, began, one.names[place]] += duration
        if is_saved:
            ours.changes()
            ours.saved()
    found = Counter[tuple[str, str, int, str]]()
    for fact in [*given, *ours.give_all()]:
        began = fact.time_ns // (TEN_S_MS * 1_000_000)
        for name, total in zip(fact.names, fact.total_ns, strict=True):
            found[fact.source, fact.device, began, name] += total
    assert found == wanted


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
