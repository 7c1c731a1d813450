"""The decode loop's shapes and its arithmetic, on a stand-in for PyTorch."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from gpuprobe.torch_decode import SIZES, TorchDecode

from tests.benchmarks.gpu_probe import numpy_torch


@pytest.fixture
def decode(monkeypatch: pytest.MonkeyPatch) -> TorchDecode:
    """A tiny model on the CPU."""
    monkeypatch.setitem(sys.modules, "torch", numpy_torch)
    return TorchDecode("tiny", device="cpu")


def inside(decode: TorchDecode, name: str) -> Any:  # noqa: ANN401  (tensors have no common type)
    """An array of the model's state."""
    return getattr(decode, name)


def test_a_step_makes_one_token_for_each_sequence(decode: TorchDecode) -> None:
    """Tokens stay in the vocabulary and the position moves by one."""
    size = SIZES["tiny"]
    before = inside(decode, "_position").tolist()[0]
    decode.eager_step()
    tokens = inside(decode, "_tokens").tolist()
    assert len(tokens) == size.batch
    assert all(0 <= token < size.vocab for token in tokens)
    assert inside(decode, "_position").tolist()[0] == before + 1


def test_the_position_wraps_at_the_end_of_the_cache(decode: TorchDecode) -> None:
    """The loop can run for ever over a cache of fixed length."""
    for _ in range(SIZES["tiny"].context + 3):
        decode.eager_step()
    assert 0 <= inside(decode, "_position").tolist()[0] < SIZES["tiny"].context


def test_tokens_to_come_are_not_looked_at(decode: TorchDecode) -> None:
    """Rubbish beyond the position changes nothing; rubbish before it does."""
    position = inside(decode, "_position").tolist()[0]
    values = inside(decode, "_values")
    kept = [v.a.copy() for v in values]
    logits = [_hidden(decode, position)]
    for change in (slice(position + 1, None), slice(0, position)):
        for value, old in zip(values, kept, strict=True):
            value.a = old.copy()
            value.a[:, :, change] += 100
        logits.append(_hidden(decode, position))
    assert np.allclose(logits[0], logits[1])
    assert not np.allclose(logits[0], logits[2])


def _hidden(decode: TorchDecode, position: int) -> Any:  # noqa: ANN401
    """One attention layer's output for fixed input, at a position."""
    size = SIZES["tiny"]
    state = {
        n: inside(decode, f"_{n}") for n in ("slots", "cos", "sin", "layers", "keys", "values")
    }
    here = numpy_torch.Tensor(np.array([position]))
    place = (
        state["slots"] > here,
        state["cos"].index_select(0, here),
        state["sin"].index_select(0, here),
    )
    x = numpy_torch.Tensor(np.ones((size.batch, size.hidden), np.float32))
    cache = (state["keys"][0], state["values"][0])
    return decode._attention(x, state["layers"][0], cache, place).a


def test_the_attention_is_that_of_the_textbook(decode: TorchDecode) -> None:
    """Against a loop over heads and positions, written out plainly."""
    size, position = SIZES["tiny"], 8
    head = size.hidden // size.heads
    found = _hidden(decode, position)
    layer = inside(decode, "_layers")[0]
    keys, values = inside(decode, "_keys")[0].a, inside(decode, "_values")[0].a
    q = (np.ones(size.hidden, np.float32) @ layer["qkv"].a)[: size.heads * head]
    cos, sin = inside(decode, "_cos").a[position], inside(decode, "_sin").a[position]
    out = np.zeros((size.batch, size.heads * head))
    for b in range(size.batch):
        for h in range(size.heads):
            one = q[h * head : (h + 1) * head]
            turned = one * cos + np.concatenate((-one[head // 2 :], one[: head // 2])) * sin
            group = h // (size.heads // size.kv_heads)
            scores = np.exp(keys[b, group, : position + 1] @ turned / np.sqrt(head))
            mixed = scores @ values[b, group, : position + 1] / scores.sum()
            out[b, h * head : (h + 1) * head] = mixed
    assert np.allclose(found, out @ layer["o"].a, atol=1e-5)
