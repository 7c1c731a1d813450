"""Real kernel names, the class each belongs to, and where it was seen or is defined.

Template arguments and parameters of long names are cut. An issue or pull request shows the name in a
profile; a folder of a project is where the kernel is defined.
"""
# ruff: noqa: E501

from typing import NamedTuple


class Seen(NamedTuple):
    """A name of a kernel that runs in serving."""

    kind: str
    source: str
    name: str


_HTA = "HolisticTraceAnalysis@f4d0062 tests/data/ns_resolution_trace"
_VLLM = "vllm-project/vllm csrc"
_VLLM_9471 = "vllm-project/vllm#9471"
_VLLM_8337 = "vllm-project/vllm#8337"
_NM_332 = "neuralmagic/nm-vllm#332"
_SGL_22440 = "sgl-project/sglang#22440"
_SGL_14544 = "sgl-project/sglang#14544"
_SGL = "sgl-project/sglang sgl-kernel"
_TRT = "NVIDIA/TensorRT-LLM cpp/tensorrt_llm/kernels"
_VLLM_55261 = "vllm-project/vllm#55261"
_IX_1005 = "SemiAnalysisAI/InferenceX#1005"
_NCCL = "NVIDIA/nccl src/device"
_RCCL = "ROCm/rccl"
_FA = "Dao-AILab/flash-attention"
_FI = "flashinfer-ai/flashinfer"
_DG = "deepseek-ai/DeepGEMM"
_DE = "deepseek-ai/DeepEP"
_MLA = "deepseek-ai/FlashMLA"
_TORCH = "pytorch/pytorch aten/src/ATen/native/cuda"
_BUILT = "PyTorch 2.13 for CUDA 13, libtorch_cuda.so: mangled, as CUPTI reports them"
_INDUCTOR = "pytorch/pytorch torch/_inductor"
_CUBLAS = "cuBLAS and cuBLASLt, as profilers show them"
_CUTLASS = "NVIDIA/cutlass"
_FLA = "fla-org/flash-linear-attention"
_ROCM = "ROCm/aiter, ROCm/composable_kernel, hipBLASLt"
_TRITON = "triton-lang/triton python/triton_kernels"

SEEN = [Seen(*line) for line in (
    ("attention", _VLLM_9471, "void flash_fwd_splitkv_kernel<Flash_fwd_kernel_traits<128, 64, 128, 4, false, false, cutlass::half_t>>(Flash_fwd_params)"),
    ("attention", _FA, "void flash::flash_fwd_kernel<Flash_fwd_kernel_traits<192, 128, 64, 8, false, false, cutlass::bfloat16_t>, true, false>(flash::Flash_fwd_params)"),
    ("attention", _FA, "void flash::flash_fwd_splitkv_combine_kernel<Flash_fwd_kernel_traits<128, 64, 128, 8>, 4, false>(flash::Flash_fwd_params)"),
    ("attention", _TORCH, "void pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128, 64, 128, 4, false, false, cutlass::bfloat16_t>>()"),
    ("attention", _SGL_22440, "void cutlass::device_kernel<flash::enable_sm90_or_later<flash::FlashAttnFwdSm90<flash::CollectiveMainloopFwdSm90<2, cute::tuple<cute::C<1>, cute::C<1>, cute::C<1> >, cute::tuple<cute::C<192>, cute::C<128>, cute::C<64> > > > > >()"),
    ("attention", _FA, "void cutlass::device_kernel<flash::FlashAttnFwdCombine<cute::tuple<cute::C<8>, cute::C<128> >, 6, 256, 1, false, true, cutlass::bfloat16_t, float, cutlass::arch::Sm90> >()"),
    ("attention", _FA, "flash::prepare_varlen_num_blocks_kernel(int, int, int, int const*, int const*, int const*)"),
    ("attention", _FI, "void flashinfer::BatchPrefillWithPagedKVCacheKernel<flashinfer::KernelTraits<(flashinfer::MaskMode)1, 128u, 2u, 2u, 8u, 8u, 4u, 1u> >()"),
    ("attention", _FI, "void flashinfer::BatchDecodeWithPagedKVCacheKernel<(flashinfer::PosEncodingMode)0, 2u, 4u, 8u, 16u, 1u, 8u>()"),
    ("attention", _FI, "void flashinfer::PersistentVariableLengthMergeStatesKernel<8u, 16u, 8u, 4u, __nv_bfloat16>()"),
    ("attention", _TRT, "fmhaSm100fKernel_QkvE4m3OBfloat16HQk576HV512HVPerCta256PagedKvDenseP64MultiCtasKvVarSeqQ16Kv128StaticSwapsAbForGen"),
    ("attention", _TRT, "fmha_v2_flash_attention_bf16_64_128_S_qkv_128_causal_tma_ws_sm90_kernel"),
    ("attention", _TRT, "void tensorrt_llm::kernels::mmha::masked_multihead_attention_kernel<unsigned short, unsigned short, 128u, 256u>()"),
    ("attention", _TRT, "kernel_mha"),
    ("attention", _MLA, "void sm90::decode::sparse_fp8::flash_fwd_splitkv_mla_fp8_sparse_kernel<sm90::decode::sparse_fp8::KernelTemplate<(ModelType)1, 64> >()"),
    ("attention", _MLA, "void sm90::fwd::sparse_attn_fwd_kernel<sm90::fwd::KernelTemplate<512, true> >()"),
    ("attention", _MLA, "get_mla_metadata_kernel"),
    ("attention", _VLLM, "void vllm::paged_attention_v2_kernel<unsigned short, unsigned short, 128, 16, 128>()"),
    ("attention", _VLLM, "kernel_unified_attention_2d"),
    ("attention", _VLLM, "void vllm::merge_attn_states_kernel<c10::BFloat16, 128>()"),
    ("attention", _VLLM, "void vllm::topKPerRowDecode<1024, true, false>()"),
    ("attention", _DG, "void deep_gemm::sm90_fp8_paged_mqa_logits<1u, 64u, 128u>()"),
    ("attention", _SGL, "_fwd_grouped_kernel_stage1"),
    ("attention", _SGL, "_fwd_kernel_stage2"),
    ("attention", _FLA, "fused_recurrent_gated_delta_rule_packed_decode_kernel"),
    ("attention", _FLA, "chunk_fwd_kernel_o"),
    ("attention", _FLA, "recompute_w_u_fwd_kernel"),
    ("attention", _SGL_14544, "void causal_conv1d_update_kernel<32, 4, c10::BFloat16, c10::BFloat16>()"),
    ("attention", _FI, "void cutlass::device_kernel<flat::kernel::FlatKernelTmaWarpSpecializedDeltaRule<flat::collective::FlatMainloopTmaWarpSpecializedDeltaRule<cutlass::bfloat16_t, float> > >()"),
    ("attention", _INDUCTOR, "triton_tem_fused_flex_attention_0"),
    ("moe", _VLLM, "fused_moe_kernel"),
    ("moe", _VLLM, "void vllm::moe::moe_align_block_size_kernel<int>()"),
    ("moe", _VLLM, "void vllm::moe::count_and_sort_expert_tokens_kernel<int>()"),
    ("moe", _VLLM, "void vllm::moe::topkGating<8, 128, 4, 16, 32, int, __nv_bfloat16>()"),
    ("moe", _VLLM, "void vllm::moe::moe_sum_kernel<c10::BFloat16, 8>()"),
    ("moe", _VLLM, "void marlin_moe_wna16::Marlin<1125899906909960l, 562949953487106l, 1125899906909960l, 2814749767106568l, 128, 4, 8, 4, false, 4, 2, false>(int4 const*, int4 const*, int4*)"),
    ("moe", _SGL_14544, "void moe_fused_gate_kernel_dynamic<float>()"),
    ("moe", _SGL_22440, "_matmul_ogs_NNT_bf16xbf16xmxfp4_16x256x128x1_swiglu"),
    ("moe", _TRITON, "_topk_forward_router"),
    ("moe", _TRT, "bmm_E2m1_E2m1E2m1_Fp32_bA16_bB16_bC16_t128x8x512u2_s6_et128x8_m128x8x64_cga1x1x1_16dp256b_TN_transOut_schedS"),
    ("moe", _TRT, "void tensorrt_llm::kernels::cutlass_kernels::finalizeMoeRoutingKernel<__nv_bfloat16, __nv_bfloat16>()"),
    ("moe", _TRT, "void tensorrt_llm::kernels::cutlass_kernels::expandInputRowsKernel<__nv_bfloat16>()"),
    ("moe", _SGL, "compute_expert_blockscale_offsets(int const*, int*, int*, int*, long)"),
    ("moe", _SGL, "void apply_shuffle_mul_sum_kernel<__nv_bfloat16>(__nv_bfloat16 const*, __nv_bfloat16*)"),
    ("moe", _SGL, "_fwd_kernel_ep_scatter_2"),
    ("moe", _DG, "void deep_gemm::fp8_gemm_kernel<4096u, 7168u, 256u, 128u, 128u, 0u, 128u, 4u, 3u, 128u, 128u, 1u, true, (deep_gemm::GemmType)2>(__nv_bfloat16*, float*, int*)"),
    ("moe", _CUTLASS, "_ZN7cutlass13device_kernelINS_4gemm6kernel13GemmUniversalINS1_17GroupProblemShapeIN4cute5tupleIJiiiEEEEE"),
    ("moe", _IX_1005, "void ck::kernel_moe_mxgemm_2lds<ck::GridwiseMoeGemmMX>()"),
    ("gemm", _DG, "void deep_gemm::sm90_fp8_gemm_1d2d_impl<(cute::UMMA::Major)0, 0u, 4096u, 1024u, 1u, 256u, 128u, 128u, 128u, 128u, 128u, 3u, 128u, 256u, 2u, true, 132u, (deep_gemm::GemmType)0, deep_gemm::epilogue::transform::EpilogueIdentity>()"),
    ("gemm", _DG, "void deep_gemm::sm90_tf32_hc_prenorm_gemm_impl<24u, 16384u, 64u, 32u, 64u, 1u, 128u, 12u, 128u, 128u>()"),
    ("gemm", _SGL_22440, "nvjet_tst_64x24_64x16_4x1_v_bz_splitK_bias_TNT"),
    ("gemm", _VLLM_55261, "nvjet_sm100_tst_128x16_64x11_2x1_v_bz_TNT"),
    ("gemm", _CUBLAS, "ampere_bf16_s16816gemm_bf16_128x64_ldg8_f2f_stages_64x3_tn"),
    ("gemm", _NM_332, "sm90_xmma_gemm_e4m3bf16_e4m3f32_f32_tn_n_tilesize64x64x128_warpgroupsize1x1x1_execute_segment_k_off_kernel__5x_cublas"),
    ("gemm", _CUBLAS, "void gemv2T_kernel_val<int, int, __nv_bfloat16, __nv_bfloat16, __nv_bfloat16, float, 128, 16, 4, 4, false>()"),
    ("gemm", _CUBLAS, "void gemvNSP_kernel<__nv_bfloat16, __nv_bfloat16, __nv_bfloat16, float, 1, 32, 4, 1024>()"),
    ("gemm", _CUBLAS, "std::enable_if<!(false), void>::type internal::gemvx::kernel<int, int, __nv_bfloat16, __nv_bfloat16, __nv_bfloat16, float, false, true, false, false, 7, false>()"),
    ("gemm", _HTA, "void cublasLt::splitKreduce_kernel<32, 16, int, float, float, float, float, true, true, false>(cublasLt::cublasSplitKParams<float>, float const*)"),
    ("gemm", _HTA, "volta_sgemm_64x64_nt"),
    ("gemm", _CUTLASS, "void cutlass::Kernel2<cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x64_64x3_tn_align8>(cutlass_80_tensorop_bf16_s16816gemm_relu_bf16_128x64_64x3_tn_align8::Params)"),
    ("gemm", _CUTLASS, "cutlass3x_sm100_simt_sgemm_f32_f32_f32_f32_f32_128x64x16_1x1x1_3_tnn_align1_bias_f32_relu"),
    ("gemm", _VLLM_9471, "void cutlass::device_kernel<(anonymous namespace)::cutlass_3x_gemm>()"),
    ("gemm", _VLLM, "void marlin::Marlin<1125899906910984l, 1125899906909960l, 256, 1, 8, 8, false, 4, 8, false>()"),
    ("gemm", _ROCM, "Cijk_Alik_Bljk_BBS_BH_Bias_HA_S_SAV_UserArgs_MT64x32x64_MI16x16x1"),
    ("gemm", _ROCM, "void wvSplitKrc_<__hip_bfloat16, 64, 16, 4, 8, 4>()"),
    ("gemm", _INDUCTOR, "triton_tem_fused_addmm_1"),
    ("collective", _NCCL, "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)"),
    ("collective", _NCCL, "ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)"),
    ("collective", _NCCL, "ncclDevKernel_ReduceScatter_Sum_f32_RING_LL(ncclDevComm*, unsigned long, ncclWork*)"),
    ("collective", _NCCL, "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)"),
    ("collective", _NCCL, "ncclKernel_AllReduce_RING_LL_Sum_float(ncclDevComm*, unsigned long, ncclWork*)"),
    ("collective", _NCCL, "ncclSymDevKernel_AllReduce_RSxLD_AGxST_sum_bf16"),
    ("collective", _RCCL, "ncclDevKernel_Generic_1(ncclDevKernelArgsStorage<4096ul>)"),
    ("collective", _VLLM, "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 2>(vllm::RankData*, vllm::RankSignals, vllm::Signal*, __nv_bfloat16*, int, int)"),
    ("collective", _SGL, "void sglang::cross_device_reduce_2stage<__half, 8>(sglang::RankData*, sglang::RankSignals)"),
    ("collective", _FI, "void flashinfer::trtllm_allreduce_fusion::allreduce_fusion_kernel_oneshot_lamport<(flashinfer::trtllm_allreduce_fusion::AllReduceFusionPattern)1, __nv_bfloat16, 2, true, true>()"),
    ("collective", _VLLM_55261, "void flashinfer::trtllm_mnnvl_allreduce::twoshotAllreduceKernel<8, __nv_bfloat16>()"),
    ("collective", _TORCH, "void (anonymous namespace)::multimem_all_reduce_kernel<c10::BFloat16, 16>(c10::BFloat16*, unsigned long, unsigned int**)"),
    ("collective", _TORCH, "void (anonymous namespace)::two_shot_all_reduce_kernel_inplace<c10::BFloat16, 16, 2>(c10::BFloat16**)"),
    ("collective", _DE, "void deep_ep::internode_ll::dispatch<true, 3, 10, 7168>(void*, float*, int*, long*)"),
    ("collective", _DE, "void deep_ep::intranode::combine<__nv_bfloat16, 8, 768>()"),
    ("collective", _TRT, "moeA2ADispatchKernel"),
    ("kv_cache", _VLLM, "void vllm::reshape_and_cache_flash_kernel<__nv_bfloat16, __nv_bfloat16, (vllm::Fp8KVCacheDataType)0>()"),
    ("kv_cache", _VLLM, "void vllm::concat_and_cache_mla_kernel<__nv_bfloat16, __nv_bfloat16, (vllm::Fp8KVCacheDataType)0>()"),
    ("kv_cache", _VLLM, "void vllm::gather_and_maybe_dequant_cache<__nv_bfloat16, __nv_bfloat16, (vllm::Fp8KVCacheDataType)0>()"),
    ("kv_cache", _VLLM, "void vllm::copy_blocks_kernel<c10::BFloat16>(long*, long*, long const*, int)"),
    ("kv_cache", _SGL, "void sglang::store_kvcache<512l, 512l, 1, false, long>()"),
    ("kv_cache", _SGL, "set_mla_kv_buffer_kernel"),
    ("kv_cache", _FI, "void flashinfer::AppendPagedKVCacheKernel<128u, 8u, __nv_bfloat16, int>()"),
    ("kv_cache", _TRT, "void tensorrt_llm::kernels::applyMLARopeAndAssignQKVKernelOptContext<__nv_bfloat16, 256, 512, 64>()"),
    ("kv_cache", _VLLM, "void vllm::deepseek_v4_fused_ops::fusedDeepseekV4QNormRopeKVRopeQuantInsertKernelReducedGrid<c10::BFloat16, 64>()"),
    ("norm", _NM_332, "void vllm::rms_norm_kernel<c10::BFloat16>(c10::BFloat16*, c10::BFloat16 const*)"),
    ("norm", _VLLM, "std::enable_if<(((8)>(0)))&&(_typeConvert<c10::BFloat16>::exists), void>::type vllm::fused_add_rms_norm_kernel<c10::BFloat16, 8>()"),
    ("norm", _VLLM, "void vllm::rms_norm_static_fp8_quant_kernel<c10::BFloat16, c10::Float8_e4m3fn>()"),
    ("norm", _SGL_14544, "void flashinfer::norm::RMSNormKernel<8u, __nv_bfloat16>()"),
    ("norm", _FI, "kernel_cutlass_kernel_flashinfernormkernelsfused_add_rmsnormFusedAddRMSNormKernel_object_at__tensor"),
    ("norm", _TORCH, "void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<c10::Half, float>(int, float)"),
    ("norm", _HTA, "void cudnn::bn_fw_tr_1C11_singleread<float, 512, true, 1, 2, 0>(cudnn::bn_fw_tr_1C11_args<float>)"),
    ("norm", _INDUCTOR, "triton_red_fused__to_copy_add_copy__fused_add_rms_norm_moe_forward_shared_3"),
    ("norm", _INDUCTOR, "triton_red_fused__to_copy_add_embedding_mean_mul_pow_rsqrt_0"),
    ("sampling", _FI, "void flashinfer::sampling::TopKTopPSamplingFromProbKernel<1024u, (cub::BlockScanAlgorithm)2, 4u, true, float, int>()"),
    ("sampling", _TORCH, "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float, at::native::ArgMaxOps<float>, unsigned int, long, 4, 4> >()"),
    ("sampling", _TORCH, "void at::native::(anonymous namespace)::distribution_elementwise_grid_stride_kernel<float, 4, at::native::templates::cuda::exponential_kernel<at::CUDAGeneratorImpl*> >()"),
    ("sampling", _TORCH, "void at::native::mbtopk::radixFindKthValues<float, unsigned int, unsigned int, 4, 2>()"),
    ("sampling", _TORCH, "void at::native::sbtopk::gatherTopK<float, unsigned int, 2, false>()"),
    ("sampling", _TORCH, "void at_cuda_detail::cub::DeviceRadixSortOnesweepKernel<at_cuda_detail::cub::DeviceRadixSortPolicy<float, long, unsigned long long>::Policy900>()"),
    ("sampling", _VLLM, "void vllm::apply_repetition_penalties_kernel<float>()"),
    ("sampling", _VLLM, "_topk_topp_kernel"),
    ("sampling", _VLLM, "rejection_greedy_sample_kernel"),
    ("quantization", _NM_332, "void vllm::scaled_fp8_quant_kernel<c10::BFloat16>(c10::Float8_e4m3fn*, c10::BFloat16 const*)"),
    ("quantization", _SGL, "void per_token_group_quant_8bit_kernel<c10::BFloat16, c10::Float8_e4m3fn, true, true, float>()"),
    ("quantization", _TRT, "void tensorrt_llm::kernels::quantize_with_block_size<(tensorrt_llm::kernels::BlockScaleQuantizationType)0, __nv_bfloat16, 16, false>()"),
    ("quantization", _VLLM, "void vllm::cvt_fp16_to_fp4<__nv_bfloat16, false>(int, int, __nv_bfloat16 const*)"),
    ("quantization", _SGL, "_silu_and_mul_post_quant_kernel"),
    ("elementwise", _NM_332, "void vllm::rotary_embedding_kernel<c10::BFloat16, true>(long const*, c10::BFloat16*)"),
    ("elementwise", _VLLM, "void vllm::act_and_mul_kernel<c10::BFloat16, &(c10::BFloat16 vllm::silu_kernel<c10::BFloat16>(c10::BFloat16 const&)), true>()"),
    ("elementwise", _SGL_14544, "void flashinfer::BatchQKApplyRotaryPosIdsCosSinCacheKernel<true, 128u, 8u, 16u>()"),
    ("elementwise", _HTA, "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>, at::detail::Array<char*, 3> >(int, at::native::CUDAFunctor_add<float>, at::detail::Array<char*, 3>)"),
    ("elementwise", _VLLM_8337, "void at::native::(anonymous namespace)::indexSelectLargeIndex<c10::BFloat16, long, unsigned int, 2, 2, -2, true>()"),
    ("elementwise", _HTA, "void at::native::(anonymous namespace)::CatArrayBatchedCopy_aligned16_contig<at::native::(anonymous namespace)::OpaqueType<4u>, unsigned int, 1, 128, 1>()"),
    ("elementwise", _TORCH, "void at::native::(anonymous namespace)::cunn_SoftMaxForward<4, float, float, float>()"),
    ("elementwise", _INDUCTOR, "triton_poi_fused_mul_silu_slice_1"),
    ("elementwise", _INDUCTOR, "triton_per_fused_sum_view_2"),
    ("convolution", _HTA, "cudnn_infer_volta_scudnn_winograd_128x128_ldg1_ldg4_relu_tile148t_nt_v1"),
    ("convolution", _HTA, "void cudnn::detail::dgrad_engine<float, 512, 6, 5, 3, 3, 3, false>()"),
    ("memcpy", _HTA, "Memcpy DtoD (Device -> Device)"),
    ("memcpy", "nsys", "[CUDA memcpy Device-to-Host]"),
    ("memset", _HTA, "Memset (Device)"),
    ("elementwise", _BUILT, "_ZN2at4cuda3cub15calc_block_sumsILi256ELi16ELb0EddEEvPKT2_PT3_li"),
    ("elementwise", _BUILT, "_ZN2at6native29vectorized_elementwise_kernelILi2ENS0_10AbsFunctorIaEESt5arrayIPcLm2EEEEviT0_T1_"),
    ("elementwise", _BUILT, "_ZN2at4cuda57_GLOBAL__N__4097cdb0_24_DistributionBernoulli_cu_7537a20d21kernelPointwiseApply2IZNS_6native9templates4cuda28bernoulli_tensor_cuda_kernelIafEEvRKNS_10TensorBaseES9_NS_15PhiloxCudaStateEEUliRaSB_SB_SB_RKfSD_SD_SD_E_aSC_jLi1ELi1ELi4ELi512ELi2EEEvNS0_6detail10TensorInfoIT0_T2_EENSG_IT1_SI_EESI_T_"),
    ("elementwise", _BUILT, "_ZN2at6native43_GLOBAL__N__f71e7945_10_SoftMax_cu_9f978f6319cunn_SoftMaxForwardILi2EdddNS1_22SoftMaxForwardEpilogueEEEvPT2_PKT0_i"),
    ("elementwise", _BUILT, "_ZN2at6native40_GLOBAL__N__f1f992fe_8_Shape_cu_49f7391c26CatArrayBatchedCopy_contigINS1_10OpaqueTypeILj1EEEjLi1ELi128ELi1EEEvPT_NS1_25CatArrInputTensorMetadataIS5_T0_XT2_EXT3_EEENS1_16TensorSizeStrideIS8_Lj4EEEiS8_"),
    ("norm", _BUILT, "_ZN2at6native53_GLOBAL__N__4da244e1_20_layer_norm_kernel_cu_9c5ada8a28vectorized_layer_norm_kernelIddLb0EEEviT0_PKT_S6_S6_PS3_S7_PS4_"),
    ("sampling", _BUILT, "_ZN2at6native6sbtopk10gatherTopKIajLi1ELb0EEEvNS_4cuda6detail10TensorInfoIKT_T0_EES8_S8_bS8_S8_NS5_IS6_S8_EES8_NS5_IlS8_EES8_PS6_"),
    ("sampling", _BUILT, "_ZN2at6native18radixSortKVInPlaceILi2ELin1ELi32ELi32EaljEEvNS_4cuda6detail10TensorInfoIT3_T5_EES6_S6_S6_NS4_IT4_S6_EES6_b"),
    ("attention", _BUILT, "_ZN13pytorch_flash24flash_fwd_splitkv_kernelI23Flash_fwd_kernel_traitsILi96ELi64ELi64ELi4ELb0ELb0EN7cutlass6half_tE19Flash_kernel_traitsILi96ELi64ELi64ELi4ES3_EELb0ELb0ELb0ELb0ELb0ELb0ELb0ELb0EEEvNS_16Flash_fwd_paramsE"),
    ("attention", _BUILT, "_Z40fmha_cutlassF_bf16_aligned_64x64_rf_sm80N22PyTorchMemEffAttention15AttentionKernelIN7cutlass10bfloat16_tENS1_4arch4Sm80ELb1ELi64ELi64ELi64ELb1ELb1EE6ParamsE"),
    ("collective", _BUILT, "_ZN64_GLOBAL__N__4bfe95cf_25_CUDASymmetricMemoryOps_cu_746e93c6_1455526multimem_all_reduce_kernelIfLi4EEEvPT_mPPjmm"),
    ("collective", _BUILT, "_ZN64_GLOBAL__N__4bfe95cf_25_CUDASymmetricMemoryOps_cu_746e93c6_1455526one_shot_all_reduce_kernelIfLi4ELi2EEEvPPT_S2_S2_mmPPjmm"),
)]  # fmt: skip
