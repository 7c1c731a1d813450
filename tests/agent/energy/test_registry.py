"""Which engines are on which devices, and which steps leave the queue of those that wait."""

import msgspec

from otel_llm.agent.energy.device import MeteredDevice
from otel_llm.agent.energy.engines import Timed
from otel_llm.agent.energy.registry import Host, Registry
from otel_llm.agent.energy.requests import added
from otel_llm.agent.energy.waiting import WaitingSteps
from otel_llm.energy.account import Amount
from otel_llm.facts import Producer
from otel_llm.facts.energy import RequestJoules
from otel_llm.facts.joined import JoinedStep
from tests.agent.builders import ENGINE, anchor, at, done, scheduled
from tests.agent.energy.rig import gpu


def named(letter: str, *devices: str) -> Producer:
    """An engine on devices."""
    return msgspec.structs.replace(ENGINE, instance_id=letter * 32, devices=list(devices))


def test_engines_of_a_device() -> None:
    """Those that name it, and no others of the node."""
    registry = Registry(Host("node-7", "boot-1", 1), lambda _: None)
    first, second = (MeteredDevice(gpu(name), 1_000_000_000, 9) for name in ("GPU-a", "GPU-b"))
    registry.add(first)
    registry.add(second)
    one, both = (
        registry.engine(each) for each in (named("1", "GPU-a"), named("2", "GPU-a", "GPU-b"))
    )
    assert registry.on(first) == [one, both]
    assert registry.on(second) == [both]
    assert registry.visitor(named("2", "GPU-a", "GPU-b"), "GPU-b") is None
    assert registry.visitor(named("1", "GPU-a"), "GPU-b") is not None
    assert registry.visitor(named("1", "GPU-a"), "GPU-c") is None


def test_a_step_waits_with_the_gap_before_it() -> None:
    """Nothing of lost steps will be told; the step after them is not told yet, and stays."""
    step = JoinedStep(ENGINE, anchor(), "done", scheduled(1), done(1), at(8))
    gap, later = Timed(None, 0, 1000, known=False), Timed(step, 1000, 2000, known=True)
    waiting = WaitingSteps()
    waiting.add(1, [gap, later])
    assert waiting.leave(1, 0, lambda one: one.step is None) == []
    assert not waiting.are_told(1, 3000, lambda one: one.step is None)
    assert waiting.are_told(1, 500, lambda one: one.step is None)
    assert len(waiting.leave(1, 0, lambda _: True)) == 2
    assert not waiting.has(1)


def test_what_was_saved_is_not_written_over() -> None:
    """A restored queue goes on behind its last step, in order."""
    steps = [
        Timed(JoinedStep(ENGINE, anchor(), "done", scheduled(seq), done(seq), at(8)), seq, seq + 1,
              known=True)
        for seq in (1, 2, 3)
    ]  # fmt: skip
    before, after = WaitingSteps(), WaitingSteps()
    before.add(1, steps[:1])
    before.leave(1, 9, lambda _: True)
    before.add(1, steps[1:2])
    after.restore([(kind, key, body) for kind, key, body in before.changes() if body is not None])
    after.add(1, steps[2:])
    after.add(1, steps[:1])
    assert [one.start_ns for one in after.leave(1, 9, lambda _: True)] == [2, 3, 1]


def test_bounds_of_a_requests_devices_add_up() -> None:
    """Errors of two devices may hang together: the sum's bound is the sum of both."""
    one = RequestJoules(prefill_mj=5, decode_mj=7, error_mj=3)
    amount = Amount(1, 10, 0, 4, "counter", 1, False, "work", "kernels", 0, 0.0)
    both = added(one, amount)
    assert (both.total_mj, both.error_mj) == (22, 7)
