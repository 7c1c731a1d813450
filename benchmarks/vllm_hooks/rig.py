"""vLLM's own scheduler and output processor, in steady decode, with scripted results.

Only the model is left out: `Scheduler` or `AsyncScheduler`, `EngineCore.preprocess_add_request`,
`OutputProcessor` and all that passes between them are the installed package's. The API server's
half follows the engine core's in one thread, so a step's hooks of both can be summed.
"""

import itertools
import time
from collections import deque
from pathlib import Path
from typing import Any

import torch
from vllm.config import CacheConfig, ModelConfig, SchedulerConfig, SpeculativeConfig, VllmConfig
from vllm.sampling_params import SamplingParams
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreRequest
from vllm.v1.engine.core import EngineCore
from vllm.v1.engine.output_processor import OutputProcessor
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
from vllm.v1.metrics.stats import IterationStats
from vllm.v1.outputs import DraftTokenIds, ModelRunnerOutput
from vllm.v1.structured_output import StructuredOutputManager

PROMPT = 300
MOST = 256
MAX_LEN = 2048
_BLOCK = 128
_BLOCKS = (MOST + 1) * (MAX_LEN // _BLOCK) + 64
_TRACE = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "otelllm=t:acme;a:1",
}


class Rig:
    """One engine without its model. Put the hooks in before you make one.

    Args:
        model: a model's directory; only its configuration is read.
        asynchronous: schedule step N+1 before the result of step N, as vLLM does on a GPU.
        drafts: speculative tokens per member and step, of which one is accepted.
    """

    def __init__(self, model: Path, *, asynchronous: bool, drafts: int = 0) -> None:
        config = _config(model, drafts)
        # On a CPU the platform's own code turns it off.
        config.scheduler_config.async_scheduling = asynchronous
        made = AsyncScheduler if asynchronous else Scheduler
        self.scheduler = made(
            vllm_config=config,
            kv_cache_config=_kv_cache(),
            structured_output_manager=StructuredOutputManager(config),
            block_size=_BLOCK,
            log_stats=True,
        )
        self.processor = OutputProcessor(None, log_stats=True)
        self._core = _core(config, self.scheduler)
        self._drafts = drafts
        self._asynchronous = asynchronous
        self._flying: deque[tuple[Any, Any]] = deque()
        self._numbers = itertools.count()

    def fill(self, members: int) -> None:
        """Decode `members` requests, and nothing else; no step is in flight."""
        self.empty()
        for _ in range(members):
            self.add(MAX_LEN - PROMPT)
        for _ in range(4):
            self.step()
        self.drain()

    def empty(self) -> None:
        """Abort every request, as when all callers hang up."""
        self.drain()
        ids = self.processor.abort_requests(list(self.processor.request_states), internal=True)
        self._core.abort_requests(ids)

    def add(self, max_tokens: int) -> None:
        """A request arrives, with a prompt of 300 tokens and a caller's trace context."""
        number = next(self._numbers)
        external = f"cmpl-6f1d3c0a9b7e4f52a1c8{number:012x}"
        request = EngineCoreRequest(
            request_id=f"{external}-0-{number:08x}",
            prompt_token_ids=[1] * PROMPT,
            mm_features=None,
            sampling_params=SamplingParams(
                max_tokens=max_tokens, ignore_eos=True, detokenize=False
            ),
            pooling_params=None,
            arrival_time=time.time(),
            lora_request=None,
            cache_salt=None,
            data_parallel_rank=None,
            trace_headers=dict(_TRACE),
            external_req_id=external,
        )
        self.processor.add_request(request, None, None, 0)
        self._core.add_request(*self._core.preprocess_add_request(request))

    def step(self) -> None:
        """Schedule a step, and handle the result of one: this one or, if asynchronous, the last."""
        self._launch()
        if len(self._flying) > self._asynchronous:
            self._land()

    def drain(self) -> None:
        """Handle the results of the steps in flight."""
        while self._flying:
            self._land()

    def _launch(self) -> None:
        batch = self.scheduler.schedule()
        if batch.total_num_scheduled_tokens:
            self._flying.append((batch, self._result(batch)))

    def _land(self) -> None:
        batch, result = self._flying.popleft()
        outputs = self.scheduler.update_from_output(batch, result)[0]
        if self._drafts and not self._asynchronous:
            ids = list(batch.num_scheduled_tokens)
            self.scheduler.update_draft_token_ids(
                DraftTokenIds(ids, [[1] * self._drafts for _ in ids])
            )
        self.processor.process_outputs(outputs.outputs, outputs.timestamp, IterationStats())

    def _result(self, batch: Any) -> ModelRunnerOutput:  # noqa: ANN401  vLLM's SchedulerOutput
        """What a model would return: a token for each member, two if one with drafts."""
        ids = list(batch.num_scheduled_tokens)
        drafts = batch.scheduled_spec_decode_tokens
        return ModelRunnerOutput(
            req_ids=ids,
            req_id_to_index={one: place for place, one in enumerate(ids)},
            sampled_token_ids=[[1, 1] if one in drafts else [1] for one in ids],
        )


def _config(model: Path, drafts: int) -> VllmConfig:
    of_model = ModelConfig(
        model=str(model), skip_tokenizer_init=True, dtype="float32", max_model_len=MAX_LEN
    )
    config = VllmConfig(
        model_config=of_model,
        cache_config=CacheConfig(block_size=_BLOCK, enable_prefix_caching=False),
        scheduler_config=SchedulerConfig(
            max_num_seqs=MOST,
            # All prompts at once: what is measured comes after them.
            max_num_batched_tokens=(MOST + 1) * PROMPT,
            max_model_len=MAX_LEN,
            is_encoder_decoder=False,
        ),
    )
    config.cache_config.num_gpu_blocks = _BLOCKS
    if drafts:
        config.speculative_config = SpeculativeConfig(
            method="ngram",
            num_speculative_tokens=drafts,
            target_model_config=of_model,
            target_parallel_config=config.parallel_config,
        )
    return config


def _kv_cache() -> KVCacheConfig:
    spec = FullAttentionSpec(block_size=_BLOCK, num_kv_heads=1, head_size=32, dtype=torch.float32)
    return KVCacheConfig(
        num_blocks=_BLOCKS, kv_cache_tensors=[], kv_cache_groups=[KVCacheGroupSpec(["layer"], spec)]
    )


def _core(config: VllmConfig, scheduler: Scheduler) -> EngineCore:
    """An engine core around a scheduler of ours, without the executor that loads the model."""
    core = EngineCore.__new__(EngineCore)
    core.vllm_config = config
    core.scheduler = scheduler
    core.mm_receiver_cache = None
    core.request_block_hasher = None
    core.structured_output_manager = scheduler.structured_output_manager
    return core
