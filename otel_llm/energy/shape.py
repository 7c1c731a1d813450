"""What a model costs and what a device can do: the numbers that the `work` model reckons with."""

import csv
from functools import cache
from importlib import resources
from typing import NamedTuple


class ModelShape(NamedTuple):
    """A decoder-only transformer, as its configuration tells.

    Attributes:
        layers: how many.
        hidden: width.
        heads: attention heads.
        kv_heads: heads of keys and values.
        head_dim: width of a head.
        ffn: width of the feed-forward part, of one expert where there are several.
        vocab: tokens it knows.
        weight_bytes: bytes of one weight, for example 2 for bfloat16, 0.5 for four bits.
        kv_bytes: bytes of one number in the KV cache.
        experts: experts per layer; 1 for a dense model.
        active_experts: of those, how many serve one token.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    weight_bytes: float = 2.0
    kv_bytes: float = 2.0
    experts: int = 1
    active_experts: int = 1

    @property
    def flops_per_token(self) -> float:
        """Multiplications and additions of all matrices for one token, attention's scores apart."""
        expert = 3 * self.hidden * self.ffn
        layer = self._attention_weights + expert * self.active_experts
        return 2.0 * (self.layers * layer + self.hidden * self.vocab)

    @property
    def flops_per_pair(self) -> float:
        """Of scores and values, for one token that attends to one token."""
        return 4.0 * self.layers * self.heads * self.head_dim

    @property
    def weights(self) -> float:
        """Bytes read once per step for a batch that reaches every expert."""
        layer = self._attention_weights + 3 * self.hidden * self.ffn * self.experts
        return self.weight_bytes * (self.layers * layer + self.hidden * self.vocab)

    @property
    def kv_per_token(self) -> float:
        """Bytes of keys and values of one token."""
        return 2.0 * self.layers * self.kv_heads * self.head_dim * self.kv_bytes

    @property
    def _attention_weights(self) -> int:
        queries = self.hidden * self.heads * self.head_dim
        return 2 * queries + 2 * self.hidden * self.kv_heads * self.head_dim


class DevicePeak(NamedTuple):
    """What a device can do, and what doing it takes.

    Attributes:
        flops: dense bfloat16 operations per second.
        bytes_s: memory bytes per second.
        static_w: watts drawn while a step runs, whatever it does.
        pj_per_flop: picojoules per operation above that.
        pj_per_byte: picojoules per byte of memory traffic above that.
        calibrated: the last three were fitted on this device, not guessed from its power limit.
    """

    flops: float
    bytes_s: float
    static_w: float
    pj_per_flop: float
    pj_per_byte: float
    calibrated: bool = False


def device_peak(name: str) -> DevicePeak | None:
    """Of a device by its product name; None if `devices.csv` does not know it.

    Coefficients of energy are guesses until fitted: a quarter of the power limit is static, half of
    it goes to operations at their peak rate, and a quarter to memory at its.
    """
    known = [row for row in _devices() if row["name"].casefold() in name.casefold()]
    if not known:
        return None
    row = max(known, key=lambda one: len(one["name"]))
    flops, bytes_s = float(row["bf16_tflops"]) * 1e12, float(row["memory_gb_s"]) * 1e9
    watts = float(row["power_limit_w"])
    return DevicePeak(
        flops, bytes_s, watts / 4, watts / 2 / flops * 1e12, watts / 4 / bytes_s * 1e12
    )


@cache
def _devices() -> tuple[dict[str, str], ...]:
    text = resources.files("otel_llm.energy").joinpath("devices.csv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(csv.DictReader(lines))
