"""Kernel names made readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.kernels.names import MOST_SHOWN, short_name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("void vllm::rms_norm_kernel<c10::BFloat16>(c10::BFloat16*)", "vllm::rms_norm_kernel"),
        ("nvjet_tst_64x24_64x16_4x1_v_bz_TNT", "nvjet_tst_64x24_64x16_4x1_v_bz_TNT"),
        ("void (anonymous namespace)::softmax_warp_forward<float, float>(float*)",
         "softmax_warp_forward"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<int>>(int)",
         "at::native::vectorized_elementwise_kernel<CUDAFunctor_add>"),
        ("void cutlass::device_kernel<flash::enable_sm90_or_later<flash::FlashAttnFwdSm90<int>>>()",
         "cutlass::device_kernel<FlashAttnFwdSm90>"),
        ("_ZN4vllm15rms_norm_kernelIN3c108BFloat16EEEvPT_", "vllm::rms_norm_kernel"),
        ("_ZN12_GLOBAL__N_113softmax_rows_EPf", "softmax_rows_"),
        ("_Z9my_kernelPf", "my_kernel"),
        ("_ZN99broken", "_ZN99broken"),
        ("Memcpy DtoD (Device -> Device)", "Memcpy DtoD"),
        ("[CUDA memcpy Device-to-Host]", "[CUDA memcpy Device-to-Host]"),
    ],
)  # fmt: skip
def test_short_names(name: str, short: str) -> None:
    """Return type, template arguments and parameters go; what tells kernels apart stays."""
    assert short_name(name) == short


@given(st.text(min_size=1, max_size=300).filter(lambda text: text.strip()))
def test_any_name(name: str) -> None:
    """Every name has a short one, bounded."""
    assert 0 < len(short_name(name)) <= MOST_SHOWN or name.strip() == "void"
