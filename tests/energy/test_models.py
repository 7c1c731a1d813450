"""How steps are shared by their members."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.energy import models
from otel_llm.energy.models import Members, shapley, tokens, work
from otel_llm.energy.rounding import Floats
from otel_llm.energy.shape import device_peak
from otel_llm.facts.shape import ServedShape

SHAPE = ServedShape(32, 4096, 32, 8, 128, 14336, 128256)
_found = device_peak("NVIDIA H100 80GB HBM3")
assert _found is not None
PEAK = _found

Member = tuple[int, int]
batches = st.lists(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 30_000)), min_size=1, max_size=12),
    min_size=1,
    max_size=6,
)


def flat(steps: list[list[Member]]) -> Members:
    """Batches as arrays."""
    counts = np.array([len(step) for step in steps])
    whole = np.array([member for step in steps for member in step])
    return Members(np.cumsum(counts) - counts, whole[:, 0], whole[:, 1])


def shared(name: str, members: Members) -> Floats:
    """Shares by a model's name."""
    if name == "tokens":
        return tokens(members)
    if name == "work":
        return work(members, SHAPE, PEAK).shares
    return shapley(members, SHAPE, PEAK, orders=8)


@pytest.mark.parametrize("name", ["tokens", "work", "shapley"])
@given(batches)
@settings(max_examples=40)
def test_shares_add_up_in_each_step(name: str, steps: list[list[Member]]) -> None:
    """None is negative, and a step's are 1 together."""
    members = flat(steps)
    shares = shared(name, members)
    assert (shares >= 0).all()
    assert np.add.reduceat(shares, members.first) == pytest.approx(np.ones(len(steps)))


@pytest.mark.parametrize("name", ["tokens", "work"])
@given(batches)
def test_order_does_not_matter(name: str, steps: list[list[Member]]) -> None:
    """A batch turned round gives the same shares, turned round."""
    turned = shared(name, flat([step[::-1] for step in steps]))
    expected = shared(name, flat(steps))
    place = 0
    for step in steps:
        mine = slice(place, place + len(step))
        assert turned[mine][::-1] == pytest.approx(expected[mine], rel=1e-9)
        place += len(step)


@pytest.mark.parametrize("name", ["tokens", "work"])
@given(batches, st.integers(1, 500), st.integers(0, 5000))
def test_more_work_is_never_less_share(
    name: str, steps: list[list[Member]], tokens_more: int, context_more: int
) -> None:
    """A member that computes more, in a longer context, gets no smaller part."""
    grown = [list(step) for step in steps]
    count, context = grown[0][0]
    grown[0][0] = (count + tokens_more, context + context_more)
    before, after = shared(name, flat(steps))[0], shared(name, flat(grown))[0]
    assert after >= before - 1e-9


@given(batches)
def test_work_is_a_naive_sum(steps: list[list[Member]]) -> None:
    """Time, operations and bytes of a step are those of a loop over its members."""
    done = work(flat(steps), SHAPE, PEAK)
    for place, step in enumerate(steps):
        flops = sum(
            n * SHAPE.flops_per_token + sum((c + i + 1) * SHAPE.flops_per_pair for i in range(n))
            for n, c in step
        )
        read = sum((c + 2 * n) * SHAPE.kv_per_token for n, c in step if n) + SHAPE.weights
        assert done.flops[place] == pytest.approx(flops)
        assert done.bytes[place] == pytest.approx(read)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many steps reckoned in blocks give what one block gives."""
    random = np.random.default_rng(1)
    steps = [
        [(int(random.integers(1, 300)), int(random.integers(0, 900))) for _ in range(size)]
        for size in random.integers(1, 40, 50)
    ]
    whole = work(flat(steps), SHAPE, PEAK)
    monkeypatch.setattr(models, "_BLOCK", 64)
    for one, other in zip(work(flat(steps), SHAPE, PEAK), whole, strict=True):
        assert one == pytest.approx(other)


def test_work_is_near_shapley() -> None:
    """In a batch of 60 decodes and two prompts `work` is within 3 % of the sampled value."""
    random = np.random.default_rng(2)
    step = [(1, int(c)) for c in random.integers(50, 4000, 60)] + [(500, 0), (900, 300)]
    members = flat([step])
    reference = shapley(members, SHAPE, PEAK, orders=4000)
    assert work(members, SHAPE, PEAK).shares == pytest.approx(reference, rel=0.03)


def test_long_context_pays_for_its_reads() -> None:
    """Of two decodes the one with 30 times the context pays more by work, the same by tokens."""
    members = flat([[(1, 1000), (1, 30_000)]])
    assert tokens(members) == pytest.approx([0.5, 0.5])
    low, high = work(members, SHAPE, PEAK).shares
    assert high > 1.15 * low


def test_devices_are_found_by_name() -> None:
    """The longest name that fits wins; one that is not known gives none."""
    pcie, sxm = device_peak("NVIDIA H100 PCIe"), device_peak("NVIDIA H100 80GB HBM3")
    assert pcie is not None
    assert sxm is not None
    assert pcie.bytes_s < sxm.bytes_s
    assert not sxm.calibrated
    assert device_peak("Imaginary 1") is None


def test_experts_read_more_than_they_compute() -> None:
    """Of a mixture all experts are read and the active ones compute."""
    dense = ServedShape(4, 64, 4, 4, 16, 128, 1000)
    mixed = msgspec.structs.replace(dense, experts=8, active_experts=2)
    assert mixed.weights > 3 * dense.weights
    assert mixed.flops_per_token < 2 * dense.flops_per_token
