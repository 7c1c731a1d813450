"""What steps and their members should take."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.agent.energy.engines import Engine
from otel_llm.agent.energy.flat import Flat
from otel_llm.agent.energy.loads import Basis, parted
from otel_llm.energy.shape import DevicePeak, device_peak
from otel_llm.facts.shape import ServedShape
from tests.agent.builders import ENGINE

Member = tuple[int, int]


def basis() -> Basis:
    """A small model on an H100."""
    peak = device_peak("NVIDIA H100 80GB HBM3")
    assert isinstance(peak, DevicePeak)
    return Basis(ServedShape(4, 64, 4, 4, 16, 128, 1000), peak)


def flat(steps: list[list[Member]]) -> Flat:
    """Steps of members by tokens and context; one without members is not known."""
    members = [member for step in steps for member in step]
    tokens, context = np.array(members, np.int64).reshape(-1, 2).T
    starts = np.arange(len(steps))
    counts = np.array([len(step) for step in steps], np.int64)
    return Flat(
        Engine(1, ENGINE), [], starts, starts + 1, counts, tokens * 0, tokens > 1, tokens, context
    )


@pytest.mark.parametrize("by", [None, basis()])
@given(st.lists(st.lists(st.tuples(st.integers(1, 300), st.integers(0, 900)), max_size=4)))
def test_each_step_takes_what_it_would_alone(by: Basis | None, steps: list[list[Member]]) -> None:
    """Whatever is before and after it; one that is not known takes nothing."""
    whole = parted(flat(steps), by)
    alone = [parted(flat([step]), by) for step in steps]
    assert whole.share == pytest.approx([part for one in alone for part in one.share.tolist()])
    assert whole.dynamic_j == pytest.approx([float(one.dynamic_j[0]) for one in alone])
    known = [bool(step) and by is not None for step in steps]
    assert (whole.dynamic_j > 0).tolist() == known
