"""Records of kernels, laid out together."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.exporters.clickhouse.rows.told import told
from otel_llm.facts.kernel import StepKernels
from tests.agent.builders import kernels

NAMES = st.lists(st.sampled_from(["gemm", "copy", "norm"]), min_size=1, max_size=3, unique=True)


@st.composite
def records(draw: st.DrawFn) -> StepKernels:
    """A record of any kernels, often with the names of others."""
    names = draw(NAMES)
    index = draw(st.lists(st.integers(0, len(names) - 1), max_size=4))
    offsets = draw(st.lists(st.integers(0, 1 << 62), min_size=len(index), max_size=len(index)))
    return msgspec.structs.replace(
        kernels(), names=names, name_index=index, offset_ns=offsets, duration_ns=offsets[::-1]
    )


@given(st.lists(records(), max_size=6))
def test_each_kernel_keeps_its_own(many: list[StepKernels]) -> None:
    """Record, name, start and duration of each, and each name once."""
    made = told(many)
    assert len(made.names) == len(set(made.names))
    assert made.record.tolist() == [n for n, one in enumerate(many) for _ in one.name_index]
    assert [made.names[name] for name in made.name.tolist()] == [
        one.names[name] for one in many for name in one.name_index
    ]
    assert made.offset_ns.tolist() == [start for one in many for start in one.offset_ns]
    assert made.duration_ns.tolist() == [each for one in many for each in one.duration_ns]


@pytest.mark.parametrize("index", [99, -1])
def test_an_index_of_no_name(index: int) -> None:
    """Raises, so that this record is left out."""
    with pytest.raises(IndexError):
        told([msgspec.structs.replace(kernels(), name_index=[0, 1, index])])


@pytest.mark.parametrize("field", ["offset_ns", "duration_ns"])
def test_lists_that_differ_in_length(field: str) -> None:
    """Raises, also where one record has too many of what another has too few."""
    short = msgspec.structs.replace(kernels(), **{field: [1, 2]})
    long = msgspec.structs.replace(kernels(), **{field: [1, 2, 3, 4]})
    for records in ([short], [short, long]):
        with pytest.raises(ValueError, match=field):
            told(records)
