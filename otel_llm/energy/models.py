"""How a step's energy is shared by the requests in its batch: three models by name.

All take flat arrays with one entry per (step, member) and give weights, which add up to 1 in each
step. `tokens` is the rule others use. `work` reckons each member's part of the step's time,
operations and memory traffic. `shapley` samples the Shapley value of the same cost: the reference
for `work`, too slow for every step.

Time of a step: matrices take the longer of computing all tokens and reading the weights; attention
takes the longer of computing and reading the KV cache, member by member. Energy is a static power
for that time, and so much per operation and byte.
"""

from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from otel_llm.energy.rounding import Floats, Ints
from otel_llm.energy.shape import DevicePeak
from otel_llm.facts.shape import ServedShape

Sharing = Literal["tokens", "work", "shapley"]


_BLOCK = 49_152
"""Members reckoned at once."""


class Members(NamedTuple):
    """Who was in which step. Steps follow one another; a step's members are side by side.

    Attributes:
        first: shape (steps,); index of each step's first member; it rises, and no step is empty.
        tokens: shape (members,); tokens computed in the step, at least 0.
        context: shape (members,); tokens computed before it.
    """

    first: Ints
    tokens: Ints
    context: Ints

    @property
    def counts(self) -> Ints:
        """Shape (steps,): members of each step."""
        # The last step ends where the members do.
        return np.diff(self.first, append=len(self.tokens))


class Work(NamedTuple):
    """What a model of work makes of steps.

    Attributes:
        shares: shape (members,); each member's part of its step, adding up to 1.
        energy_j: shape (steps,); what the step should take, in joules.
        time_s: shape (steps,); how long it should take, in seconds.
        flops, bytes: shape (steps,); operations, and bytes of memory traffic.
    """

    shares: Floats
    energy_j: Floats
    time_s: Floats
    flops: Floats
    bytes: Floats


def tokens(members: Members) -> Floats:
    """Shares by tokens computed; equal in a step without any.

    Returns:
        Shape (members,); adds up to 1 in each step.
    """
    return _shared(members.tokens.astype(np.float64), members)


def work(members: Members, shape: ServedShape, peak: DevicePeak) -> Work:
    """Shares by work, reckoned block by block, so that temporaries stay in the cache.

    Reading the weights is a cost that members share: equally as long as reading takes longer than
    computing, and where computing hides it, by the mean time that a member adds to those before it
    if members came in any order (the Shapley value with the others taken as a continuum).
    """
    blocks = [_work(block, shape, peak) for block in _blocks(members)]
    if len(blocks) == 1:
        return blocks[0]
    return Work(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def _blocks(members: Members) -> list[Members]:
    whole = len(members.tokens)
    if whole <= _BLOCK:
        return [members]
    marks = np.unique(np.searchsorted(members.first, np.arange(0, whole, _BLOCK)))
    cuts = [*marks[marks < len(members.first)].tolist(), len(members.first)]
    ends = np.append(members.first, whole)
    return [
        Members(
            members.first[low:high] - ends[low],
            members.tokens[ends[low] : ends[high]],
            members.context[ends[low] : ends[high]],
        )
        for low, high in pairwise(cuts)
    ]


def _work(members: Members, shape: ServedShape, peak: DevicePeak) -> Work:
    """A block. Members with one token are a straight line in their context: no more is reckoned."""
    first, counts = members.first, members.counts
    line = _line(shape, peak)
    many = np.flatnonzero(members.tokens != 1) if line else np.arange(len(members.tokens))
    step = np.searchsorted(first, many, side="right") - 1
    some = _own(Members(first, members.tokens[many], members.context[many]), shape, peak)
    ones = counts - np.bincount(step, minlength=len(first))
    context = members.context.astype(np.float64)
    context[many] = 0.0
    seen = np.add.reduceat(context, first)
    whole = np.add.reduceat(members.tokens, first) * (shape.flops_per_token / peak.flops)
    read_s = shape.weights / peak.bytes_s
    one_s = np.full_like(whole, shape.flops_per_token / peak.flops)
    over, over_many = _excess(one_s, whole, read_s), _excess(some.linear_s, whole[step], read_s)
    excess = ones * over + _by_step(over_many, step, whole)
    wanted = np.maximum(whole - read_s, 0.0)
    scale = peak.static_w * np.divide(wanted, excess, out=np.zeros_like(excess), where=excess > 0)
    fixed_j = (peak.static_w * read_s + peak.pj_per_byte * 1e-12 * shape.weights) / counts
    joules = context * line.rise_j if line else context
    joules += np.repeat((line.base_j if line else 0.0) + scale * over + fixed_j, counts)
    alone = peak.static_w * some.attention_s + some.dynamic_j
    joules[many] = alone + (scale[step] * over_many + fixed_j[step])
    energy_j = np.add.reduceat(joules, first)
    joules *= np.repeat(1 / energy_j, counts)
    pairs = seen + ones
    read = shape.kv_per_token * (pairs + ones)
    return Work(
        joules,
        energy_j,
        np.maximum(whole, read_s)
        + read / peak.bytes_s
        + _by_step(some.attention_s, step, whole),
        ones * shape.flops_per_token + pairs * shape.flops_per_pair
        + _by_step(some.flops, step, whole),
        read + shape.weights + _by_step(some.bytes, step, whole),
    )  # fmt: skip


class _Line(NamedTuple):
    """What a member with one token takes, weights apart, in joules: so much, and per context."""

    base_j: float
    rise_j: float


def _line(shape: ServedShape, peak: DevicePeak) -> _Line | None:
    """None on a device that computes attention to one token in more time than it takes to read."""
    read_s, pair_s = shape.kv_per_token / peak.bytes_s, shape.flops_per_pair / peak.flops
    if pair_s > read_s:
        return None
    per_flop, per_byte = peak.pj_per_flop * 1e-12, peak.pj_per_byte * 1e-12
    token_j = peak.static_w * read_s + per_byte * shape.kv_per_token
    pair_j = per_flop * shape.flops_per_pair
    # It attends to its context and itself, reads these and writes one.
    return _Line(2 * token_j + pair_j + per_flop * shape.flops_per_token, token_j + pair_j)


def _by_step(values: Floats, step: Ints, like: Floats) -> Floats:
    return np.bincount(step, weights=values, minlength=len(like)).astype(np.float64, copy=False)


def shapley(
    members: Members, shape: ServedShape, peak: DevicePeak, *, orders: int = 64, seed: int = 0
) -> Floats:
    """Shares by the Shapley value of the same cost, sampled over orders of arrival.

    Each order is used forwards and backwards, which halves the noise. Slow: a loop over steps.

    Args:
        members: who was in which step.
        shape: the model.
        peak: the device.
        orders: orders per step, at least 1; each counts twice.
        seed: of the orders.

    Returns:
        Shape (members,); adds up to 1 in each step.
    """
    random = np.random.default_rng(seed)
    own = _own(members, shape, peak)
    read_s = shape.weights / peak.bytes_s
    fixed_j = peak.pj_per_byte * 1e-12 * shape.weights
    joules = np.empty(len(members.tokens))
    for first, count in zip(members.first.tolist(), members.counts.tolist(), strict=True):
        mine = slice(first, first + count)
        added = _marginal(own.linear_s[mine], read_s, orders, random)
        alone = peak.static_w * own.attention_s[mine] + own.dynamic_j[mine]
        joules[mine] = peak.static_w * added + alone + fixed_j / count
    return _shared(joules, members)


def _marginal(own_s: Floats, read_s: float, orders: int, random: np.random.Generator) -> Floats:
    """Mean time each adds to those before it, where together they take max(read, sum)."""
    count = len(own_s)
    order = random.permuted(np.tile(np.arange(count), (orders, 1)), axis=1)
    order = np.concatenate([order, order[:, ::-1]])
    after = np.maximum(np.cumsum(own_s[order], axis=1), read_s)
    before = np.concatenate([np.zeros((len(order), 1)), after[:, :-1]], axis=1)
    added = np.bincount(order.ravel(), weights=(after - before).ravel(), minlength=count)
    # The first pays for reading all weights; over all orders everyone is first equally often.
    firsts = np.bincount(order[:, 0], minlength=count) * read_s
    mean: Floats = (added - firsts) / len(order)
    return mean + read_s / count


class _Own(NamedTuple):
    linear_s: Floats
    attention_s: Floats
    dynamic_j: Floats
    flops: Floats
    bytes: Floats


def _own(members: Members, shape: ServedShape, peak: DevicePeak) -> _Own:
    """What each member takes for itself, weights apart."""
    count = members.tokens.astype(np.float64)
    seen = members.context + count
    linear = count * shape.flops_per_token
    scores = seen - (count - 1) / 2
    scores *= count
    scores *= shape.flops_per_pair
    # Keys and values are read once for a run of tokens, and written for each.
    read = np.minimum(count, 1.0) * (seen + count)
    read *= shape.kv_per_token
    attention_s = np.maximum(scores / peak.flops, read / peak.bytes_s)
    flops = linear + scores
    dynamic_j = flops * (peak.pj_per_flop * 1e-12)
    dynamic_j += read * (peak.pj_per_byte * 1e-12)
    return _Own(linear / peak.flops, attention_s, dynamic_j, flops, read)


def _excess(own: Floats, total: Floats, free: float) -> Floats:
    """Mean time that a member adds beyond `free`, coming at any place among the others."""
    others = np.maximum(total - own, 0.0)
    area = np.square(np.maximum(total - free, 0.0))
    area -= np.square(np.maximum(own - free, 0.0))
    area -= np.square(np.maximum(others - free, 0.0))
    alone = np.maximum(own - free, 0.0)
    crowd = others > 1e-9 * np.maximum(total, 1e-30)
    mean: Floats = np.divide(area, 2 * others, out=alone, where=crowd)
    return np.maximum(mean, 0.0)


def _shared(weights: Floats, members: Members) -> Floats:
    sums: Floats = np.add.reduceat(weights, members.first)
    even = np.repeat(sums <= 0, members.counts)
    scale = np.repeat(np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0), members.counts)
    shares: Floats = weights * scale
    if even.any():
        shares[even] = 1.0 / np.repeat(members.counts, members.counts)[even]
    return shares
