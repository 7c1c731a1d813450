"""Kernel names made readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.kernels.names import MOST_SHOWN, said, short_name


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
        ("_ZN2at6native29vectorized_elementwise_kernelILi2ENS0_10AbsFunctorIaEESt5arrayIPcLm2EEEEviT0_T1_",
         "at::native::vectorized_elementwise_kernel<AbsFunctor>"),
        ("_ZN7cutlass13device_kernelIN5flash20enable_sm90_or_laterINS1_16FlashAttnFwdSm90IiEEEEEEvv",
         "cutlass::device_kernel<FlashAttnFwdSm90>"),
        ("Memcpy DtoD (Device -> Device)", "Memcpy DtoD"),
        ("[CUDA memcpy Device-to-Host]", "[CUDA memcpy Device-to-Host]"),
    ],
)  # fmt: skip
def test_short_names(name: str, short: str) -> None:
    """Return type, template arguments and parameters go; what tells kernels apart stays."""
    assert short_name(name) == short


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("void f<int>()", "void f<int>()"),
        ("_ZN7deep_ep12internode_ll8dispatchILb0ELi3ELi10EEEvPv",
         "deep_ep::internode_ll::dispatch"),
        # An enumerator keeps its number: it tells the GEMMs of experts from others.
        ("_ZN9deep_gemm15fp8_gemm_kernelILj4096ELb1ELNS_8GemmTypeE2EEEvP13__nv_bfloat16Pf",
         "deep_gemm::fp8_gemm_kernel::(GemmType)2::__nv_bfloat16"),
        # The file that an anonymous namespace is named after says nothing of the kernel.
        ("_ZN2at6native53_GLOBAL__N__4da244e1_20_layer_norm_kernel_cu_9c5ada8a24RowwiseMoments"
         "CUDAKernelIN3c104HalfEfLb0EEEvlT0_PKT_PS5_S9_",
         "at::native::RowwiseMomentsCUDAKernel::c10::Half"),
        ("_Z", ""),
        ("_Z9999x", "x"),
        ("_Z1", ""),
    ],
)  # fmt: skip
def test_what_mangled_names_say(name: str, told: str) -> None:
    """Names in order, without types and numbers."""
    assert said(name) == told


@given(st.text("_ZNLEIS0123459abT", min_size=1, max_size=300))
def test_any_mangled_name(name: str) -> None:
    """What is no mangled name in truth is read to its end all the same."""
    assert len(said("_Z" + name)) <= 3 * len(name)


@given(st.text(min_size=1, max_size=300).filter(lambda text: text.strip()))
def test_any_name(name: str) -> None:
    """Every name has a short one, bounded."""
    assert 0 < len(short_name(name)) <= MOST_SHOWN or name.strip() == "void"
