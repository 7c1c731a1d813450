"""Real configurations of vLLM for a model without weights, and real schedulers made from them."""

import copy
import functools
import json
import os
import queue
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from vllm.config import (
    CacheConfig,
    ModelConfig,
    ParallelConfig,
    SchedulerConfig,
    SpeculativeConfig,
    VllmConfig,
)
from vllm.utils.hashing import get_hash_fn_by_name
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine.core import EngineCoreProc, EngineShutdownState
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.structured_output import StructuredOutputManager

EOS = 2
VOCABULARY = 512
_LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "torch_dtype": "float32",
    "bos_token_id": 1,
    "eos_token_id": EOS,
}


@dataclass(frozen=True)
class Shape:
    """How an engine is set up.

    Attributes:
        asynchronous: vLLM's `AsyncScheduler` in place of `Scheduler`.
        drafts: speculative tokens per step and request.
        blocks: KV-cache blocks there are. vLLM keeps one of them for itself.
        block_size: tokens in a block.
        max_seqs: most requests that run at once.
        batched_tokens: most tokens of a step.
        max_model_len: most tokens of a request.
        caching: prefix caching.
        policy: how waiting requests are ordered, and who is preempted.
        log_stats: False is `--disable-log-stats`.
        pooling: the model makes embeddings.
        second_runner: vLLM's second model runner, the one that runs on a GPU with Triton. The
            scheduler hands it a resumed request as a new one.
        dp_rank: the engine's data-parallel rank.
        tracing: the endpoint of vLLM's own tracing.
        backwards: the model runner orders its results the other way round than the scheduler.
    """

    asynchronous: bool = False
    drafts: int = 0
    blocks: int = 65
    block_size: int = 4
    max_seqs: int = 8
    batched_tokens: int = 64
    max_model_len: int = 256
    caching: bool = True
    policy: Literal["fcfs", "priority"] = "fcfs"
    log_stats: bool = True
    pooling: bool = False
    second_runner: bool = False
    dp_rank: int = 0
    tracing: str | None = None
    backwards: bool = False


@functools.cache
def model_dir() -> Path:
    """A model's folder: a configuration of one small layer, a tokenizer of one word per token."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-llama-"))
    (folder / "config.json").write_text(json.dumps(_LLAMA))
    words = {"<unk>": 0, "<s>": 1, "</s>": EOS} | {f"w{n}": n for n in range(3, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    fast.save_pretrained(folder)
    return folder


@functools.cache
def tokenizer() -> PreTrainedTokenizerFast:
    """The model's tokenizer: token 7 is the text `w7`."""
    return PreTrainedTokenizerFast.from_pretrained(model_dir())


def vllm_config(shape: Shape) -> VllmConfig:
    """A real configuration of vLLM.

    On a CPU vLLM turns asynchronous scheduling off; what the scheduler reads of it is turned on
    again afterwards, as it would stand on a GPU.
    """
    model = copy.deepcopy(_model_config(shape.max_model_len, shape.pooling))
    drafts = {
        "method": "ngram",
        "prompt_lookup_max": 2,
        "prompt_lookup_min": 1,
        "num_speculative_tokens": shape.drafts,
        "target_model_config": model,
        "target_parallel_config": ParallelConfig(),
    }
    config = VllmConfig(
        model_config=model,
        scheduler_config=SchedulerConfig(
            max_num_seqs=shape.max_seqs,
            max_num_batched_tokens=shape.batched_tokens,
            max_model_len=shape.max_model_len,
            enable_chunked_prefill=True,
            policy=shape.policy,
            is_encoder_decoder=False,
        ),
        cache_config=CacheConfig(block_size=shape.block_size, enable_prefix_caching=shape.caching),
        speculative_config=SpeculativeConfig(**drafts) if shape.drafts else None,
    )
    config.scheduler_config.async_scheduling = shape.asynchronous
    config.scheduler_config.enable_chunked_prefill = True
    config.cache_config.enable_prefix_caching = shape.caching
    config.cache_config.num_gpu_blocks = shape.blocks
    config.parallel_config.data_parallel_rank = shape.dp_rank
    config.parallel_config.data_parallel_index = shape.dp_rank
    config.observability_config.otlp_traces_endpoint = shape.tracing
    return config


@functools.cache
def _model_config(max_model_len: int, pooling: bool) -> ModelConfig:
    return ModelConfig(
        model=str(model_dir()),
        dtype="float32",
        max_model_len=max_model_len,
        runner="pooling" if pooling else "generate",
    )


@contextmanager
def _runner(*, second: bool) -> Iterator[None]:
    """Choose vLLM's model runner as its users do, by environment; only the scheduler asks."""
    os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "1" if second else "0"
    try:
        yield
    finally:
        del os.environ["VLLM_USE_V2_MODEL_RUNNER"]


def kv_cache_spec(shape: Shape) -> FullAttentionSpec:
    """The KV cache of the model's one layer."""
    return FullAttentionSpec(
        block_size=shape.block_size, num_kv_heads=2, head_size=16, dtype=torch.float32
    )


def engine_core(shape: Shape) -> EngineCoreProc:
    """A real engine core with a real scheduler, and no executor.

    `EngineCoreProc.__init__` opens sockets and starts a model, so it is left out; what taking in
    requests and aborts needs is set as it would set it.
    """
    config = vllm_config(shape)
    structured = StructuredOutputManager(config)
    kv_cache = KVCacheConfig(
        num_blocks=shape.blocks,
        kv_cache_tensors=[],
        kv_cache_groups=[KVCacheGroupSpec(["layer"], kv_cache_spec(shape))],
    )
    core: Any = object.__new__(EngineCoreProc)
    core.vllm_config = config
    core.log_stats = shape.log_stats
    core.structured_output_manager = structured
    core.mm_receiver_cache = None
    core.aborts_queue = queue.Queue()
    core.output_queue = queue.Queue()
    core.shutdown_state = EngineShutdownState.RUNNING
    core.reject_new_requests = False  # since vLLM 0.33
    core.model_executor = SimpleNamespace(
        supported_tasks=("embed",) if shape.pooling else ("generate",), shutdown=lambda: None
    )
    core._pooler_config_logged = True
    core.async_scheduling = shape.asynchronous
    core.use_spec_decode = core.check_for_draft_tokens = bool(shape.drafts)
    with _runner(second=shape.second_runner):
        core.scheduler = (AsyncScheduler if shape.asynchronous else Scheduler)(
            vllm_config=config,
            kv_cache_config=kv_cache,
            structured_output_manager=structured,
            block_size=shape.block_size,
            hash_block_size=shape.block_size,
            include_finished_set=False,
            log_stats=shape.log_stats,
        )
    core.request_block_hasher = None
    if shape.caching:
        hash_function = get_hash_fn_by_name(config.cache_config.prefix_caching_hash_algo)
        init_none_hash(hash_function)
        core.request_block_hasher = get_request_block_hasher(shape.block_size, hash_function)
    made: EngineCoreProc = core
    return made
