"""Classes of kernels, on names that real engines launch."""

import re
import time

import pytest

from otel_llm.kernels.classes import (
    MOST_REMEMBERED,
    OTHER,
    Classifier,
    Pattern,
    classifier,
    patterns,
)
from tests.kernels.names import SEEN, Seen


@pytest.mark.parametrize("seen", SEEN, ids=lambda seen: f"{seen.kind}-{seen.name[:60]}")
def test_real_names(seen: Seen) -> None:
    """Every name of the fixture has the class that its kernel's work is of."""
    assert classifier()(seen.name) == seen.kind


@pytest.mark.parametrize("pattern", patterns(), ids=lambda pattern: pattern.match.pattern[:40])
def test_each_pattern_decides_its_example(pattern: Pattern) -> None:
    """No pattern is shadowed by those before it: it decides the name it was written for."""
    deciding = next(each for each in patterns() if each.match.search(pattern.example))
    assert deciding is pattern


@pytest.mark.parametrize(
    ("name", "fitting"),
    [
        # A fused all-reduce and norm waits for its peers: communication.
        ("allreduce_fusion_rms_norm_kernel", ("collective", "norm", "elementwise")),
        # The write of the cache that FlashAttention reads is no attention.
        ("void vllm::reshape_and_cache_flash_attn_kernel<int>()", ("kv_cache", "attention")),
        # FlashAttention 3 runs as a CUTLASS kernel, and is no GEMM.
        ("void cutlass::device_kernel<flash::FlashAttnFwdSm90<int> >()", ("attention", "gemm")),
        # Experts' GEMMs and routing are MoE, whatever library runs them.
        ("void marlin_moe_wna16::Marlin<1l>()", ("moe", "gemm")),
        ("void vllm::moe::topkGatingSoftmax<8>()", ("moe", "sampling", "elementwise")),
        # What torch.compile fused is what the generated kernel does, not what it lists.
        ("triton_poi_fused_moe_forward_attention_gemm_1",
         ("elementwise", "moe", "attention", "gemm")),
        # A GEMM with a norm before it is a GEMM; a norm that quantizes is a norm.
        ("hc_prenorm_gemm_rms_norm", ("gemm", "norm")),
        ("void vllm::rms_norm_dynamic_per_token_quant_kernel<int>()", ("norm", "quantization")),
    ],
)  # fmt: skip
def test_names_that_several_patterns_fit(name: str, fitting: tuple[str, ...]) -> None:
    """The order of the data decides, as its head says."""
    assert classifier().fitting(name) == fitting
    assert classifier()(name) == fitting[0]


def test_unknown_names() -> None:
    """A name that no pattern fits, an empty one and one full of odd characters are other."""
    for name in ("", "k_17", "\x00\u202e", "CUDA graph 7"):
        assert classifier()(name) == OTHER
    assert classifier().classes[-1] == OTHER


def test_a_name_is_looked_at_once() -> None:
    """Names are remembered, and what is remembered is bounded."""
    looked: list[str] = []

    class Counting(Classifier):
        def _look(self, name: str) -> str:
            looked.append(name)
            return OTHER

    known = Counting([Pattern("gemm", re.compile("gemm"), "", "")])
    for _ in range(3):
        known("a")
    assert looked == ["a"]
    for number in range(MOST_REMEMBERED + 10):
        known(str(number))
    assert len(known._known) <= MOST_REMEMBERED


def test_hostile_names_cost_little() -> None:
    """No name of 4,096 characters makes a pattern run for long."""
    began = time.process_time()
    for name in (
        "a" * 4096,
        "flash" * 800,
        "triton_" + "mm" * 2000,
        "mla_" * 1000,
        "<" * 4096,
        "_Z" + "L" * 4094,
        "_Z" + "1a" * 2047,
        "_ZL" + "1E" * 2000,
    ):
        classifier()(name)
    assert time.process_time() - began < 10.0  # a pattern that runs for long runs for ever
