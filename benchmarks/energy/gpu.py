"""A GPU that is none of the attribution's models, and what it truly took for each request.

Nothing here imports `otel_llm.energy`: the truth must not come from what is judged.

Power of a step: idle power that leaks more when warm, and a dynamic power by class of work (matrix
multiplication bound by compute or by memory, attention in prefill and in decode, the rest), each
for its part of the step's time. Matrices lose efficiency on small and odd batches, overlap is a
soft maximum, and the clock falls, with lag, towards what keeps the power limit; it changes times
of computing and, by its square, dynamic power. Temperature follows power with a lag of 12 s, and
power reaches its level with one of 20 ms.

The truth of a step is the energy that it causes, wherever it is drawn: idle power and its own
dynamic power for as long as it runs. The lag shifts a part of it behind the step's end, and keeps
the sum. Of this each member is due its Shapley value under this same law: the mean of what it adds
over all orders in which the batch might have been put together.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN, VOCAB = 32, 4096, 32, 8, 128, 14336, 128256
PARAMETERS = 7.5e9


class Law(NamedTuple):
    """The simulator's constants; those of a run differ a little from device to device."""

    idle_w: float = 95.0
    leak_per_c: float = 0.006
    limit_w: float = 690.0
    compute_w: float = 560.0
    memory_w: float = 390.0
    prefill_attention_w: float = 430.0
    decode_attention_w: float = 330.0
    rest_w: float = 110.0
    flops: float = 620e12
    bytes_s: float = 2.75e12
    rest_s: float = 0.0018
    rest_per_member_s: float = 4e-6


class Parts(NamedTuple):
    """Time of batches by class of work, in seconds; arrays of one shape, any."""

    matrices: Floats
    bound: Floats
    prefill: Floats
    decode: Floats
    rest: Floats

    @property
    def time_s(self) -> Floats:
        """All together."""
        return self.matrices + self.prefill + self.decode + self.rest


def parts(
    law: Law, clock: float, tokens: Floats, count: Floats, pairs: Floats, kv: Floats
) -> Parts:
    """Time of batches that have so many tokens, members, prefill pairs and decode KV bytes."""
    padded = np.ceil(tokens / 16) * 16
    compute = padded * 2 * PARAMETERS / (law.flops * clock * padded / (padded + 60))
    memory = np.where(tokens > 0, 2 * PARAMETERS / law.bytes_s, 0.0)
    matrices = (compute**4 + memory**4) ** 0.25
    bound = np.divide(compute**4, matrices**4, out=np.zeros_like(compute), where=matrices > 0)
    prefill = pairs * 4 * LAYERS * HEADS * HEAD_DIM / (0.55 * law.flops * clock)
    decode = kv / (0.8 * law.bytes_s)
    rest = np.where(count > 0, law.rest_s, 0.0) + law.rest_per_member_s * count
    return Parts(matrices, bound, prefill, decode, rest)


def dynamic_j(law: Law, clock: float, found: Parts) -> Floats:
    """Energy above idle power, in joules."""
    matrices = found.bound * law.compute_w + (1 - found.bound) * law.memory_w
    joules = found.matrices * matrices + found.prefill * law.prefill_attention_w
    joules = joules + found.decode * law.decode_attention_w + found.rest * law.rest_w
    return joules * clock**2


class Batch(NamedTuple):
    """A step's members: shape (members,) each. `pairs` for prefill and `kv` for decode, else 0."""

    request: npt.NDArray[np.int64]
    tokens: Floats
    context: Floats
    decode: npt.NDArray[np.bool_]

    @property
    def pairs(self) -> Floats:
        """Token pairs of prefill."""
        return np.where(self.decode, 0.0, self.tokens * (self.context + self.tokens / 2))

    @property
    def kv(self) -> Floats:
        """Bytes of KV cache read in decode."""
        per_token = 2 * LAYERS * KV_HEADS * HEAD_DIM * 2
        return np.where(self.decode, (self.context + 1) * per_token, 0.0)


class Gpu:
    """Runs batches one after another and keeps the curve of its power."""

    def __init__(self, law: Law, temperature_c: float = 45.0) -> None:
        self.law, self.temperature_c, self.clock, self.power_w = law, temperature_c, 1.0, law.idle_w
        self.now_s = 0.0
        self.ends_s: list[float] = [0.0]
        self.joules: list[float] = [0.0]

    def static_w(self) -> float:
        """Drawn whatever runs, warm as it is now."""
        return self.law.idle_w * (1 + self.law.leak_per_c * (self.temperature_c - 45))

    def idle(self, until_s: float) -> None:
        """Do nothing for a while."""
        while self.now_s < until_s - 1e-9:
            self._draw(min(until_s - self.now_s, 0.01), self.static_w())

    def run(self, batch: Batch) -> tuple[float, float, Floats, float]:
        """One step.

        Returns:
            When it began and ended, in seconds; its energy by request, in joules; its time busy.
        """
        law, start = self.law, self.now_s
        whole = [
            np.array([float(column.sum())]) for column in (batch.tokens, batch.pairs, batch.kv)
        ]
        found = parts(law, self.clock, whole[0], np.array([1.0 * len(batch.tokens)]), *whole[1:])
        span = float(found.time_s[0])
        static, clock = self.static_w(), self.clock
        level = static + float(dynamic_j(law, clock, found)[0]) / span
        caused, left = level * span, span
        while left > 1e-9:
            piece = min(left, 0.005)
            self._draw(piece, level)
            left -= piece
        target = 1.0 if level <= law.limit_w else max((law.limit_w / level) ** 0.5, 0.6)
        self.clock += (target - self.clock) * min(span / 0.15, 1.0)
        return start, self.now_s, self._causal(batch, static, clock) * caused, span

    def _causal(self, batch: Batch, static: float, clock: float) -> Floats:
        """Each member's part: the Shapley value of this law, by orders of arrival both ways.

        Orders come with all their rotations: whoever is first pays for reading the weights, so all
        must be first equally often.
        """
        count = len(batch.tokens)
        random = np.random.default_rng(int(self.now_s * 1e6) % (1 << 31))
        turns = (np.arange(count)[:, None] + np.arange(count)) % count
        bases = [random.permutation(count)[turns] for _ in range(-(-24 // count))]
        order = np.concatenate([*bases, *(base[:, ::-1] for base in bases)])
        sums = [np.cumsum(column[order], axis=1) for column in
                (batch.tokens, batch.pairs, batch.kv)]  # fmt: skip
        members = np.tile(np.arange(1.0, count + 1), (len(order), 1))
        found = parts(self.law, clock, sums[0], members, *sums[1:])
        value = static * found.time_s + dynamic_j(self.law, clock, found)
        added = np.diff(value, axis=1, prepend=0.0)
        return np.bincount(order.ravel(), added.ravel(), count) / value[:, -1].sum()

    def _draw(self, span_s: float, level_w: float) -> None:
        fade = np.exp(-span_s / 0.02)
        mean = level_w + (self.power_w - level_w) * (1 - fade) * 0.02 / span_s
        self.power_w = level_w + (self.power_w - level_w) * fade
        self.temperature_c += (35 + 0.06 * mean - self.temperature_c) * (1 - np.exp(-span_s / 12))
        self.now_s += span_s
        self.ends_s.append(self.now_s)
        self.joules.append(self.joules[-1] + mean * span_s)
