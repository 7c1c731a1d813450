"""Which steps wait for their kernels."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.agent.energy.busy import SILENT_NS
from otel_llm.agent.energy.device import MeteredDevice
from otel_llm.agent.energy.registry import Host, Registry
from otel_llm.agent.energy.steps import EngineSteps
from otel_llm.clock import MonotonicNs
from otel_llm.facts.joined import JoinedStep
from tests.agent.builders import ENGINE, anchor, at, done, scheduled
from tests.agent.energy.rig import gpu
from tests.agent.energy.test_busy import told

PLACED = msgspec.structs.replace(ENGINE, devices=["GPU-a"], ranks=1)


FACT = told(1, 400, "cupti")
TOLD_NS = FACT.base_ns + FACT.span_ns


def step(seq: int, end_ns: int) -> JoinedStep:
    """One that ends at a moment, scheduled before the first of them ended."""
    return JoinedStep(PLACED, anchor(), "done", scheduled(seq), done(seq), MonotonicNs(end_ns))


def waiting(turns: list[list[JoinedStep]]) -> list[int]:
    """Numbers of those that wait; their device was told of once, and of nothing since."""
    registry = Registry(Host(ENGINE.host, ENGINE.boot_id, 1), lambda _: None)
    registry.add(MeteredDevice(gpu(), 1_000_000_000, 9))
    steps = EngineSteps(registry, 2_000_000_000)
    steps.with_parts([FACT])
    for facts in turns:
        for fact in facts:
            steps.take(fact)
        steps.order()
    return [one.step.scheduled.seq for each in steps.waiting for one in each.timed if one.step]


SILENT_FROM_NS = TOLD_NS + SILENT_NS
ENDS = st.lists(
    st.integers(at(4), at(30_000)) | st.integers(SILENT_FROM_NS - 2, SILENT_FROM_NS + 2),
    min_size=1,
).map(sorted)


@given(ENDS)
def test_steps_wait_alike_in_one_turn_and_in_many(ends: list[int]) -> None:
    """A device told of nothing for ten seconds is not waited for, however much is read at once."""
    facts = [step(seq, end_ns) for seq, end_ns in enumerate(ends, 1)]
    expected = [fact.scheduled.seq for fact in facts] if ends[0] < SILENT_FROM_NS else []
    assert waiting([[fact] for fact in facts]) == expected
    assert waiting([facts]) == expected
