"""The shape of vLLM's objects as the engine core's hooks read them. Types only.

Read in vLLM 0.32 and 0.33: `vllm/v1/request.py`, `vllm/v1/outputs.py`,
`vllm/v1/core/sched/{scheduler,output}.py`, `vllm/v1/engine/__init__.py`.
"""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, Protocol


class CoreRequest(Protocol):
    """`Request`: a sequence in the scheduler.

    `num_computed_tokens` grows when a step is scheduled, not when its result is in, and counts the
    speculative tokens of steps in flight until a result rejects them.
    """

    request_id: str
    num_prompt_tokens: int
    num_computed_tokens: int
    num_stale_output_tokens: int
    drop_stale_output: bool
    trace_headers: Mapping[str, str] | None
    arrival_time: float
    sampling_params: Any
    pooling_params: Any
    lora_request: Any

    @property
    def num_output_tokens(self) -> int:
        """Tokens generated and delivered."""
        ...

    def get_finished_reason(self) -> object:
        """`stop`, `length`, `abort`, `error` or `repetition`, by its `str`."""
        ...


class ArrivingRequest(Protocol):
    """`EngineCoreRequest`: a sequence as the API server sends it."""

    request_id: str
    external_req_id: str | None
    trace_headers: Mapping[str, str] | None
    arrival_time: float
    sampling_params: Any
    pooling_params: Any
    lora_request: Any


class NewMember(Protocol):
    """`NewRequestData`: a member that the workers do not know, or know no longer."""

    req_id: str
    num_computed_tokens: int


class CachedMembers(Protocol):
    """`CachedRequestData`: the members that the workers know already."""

    req_ids: list[str]
    resumed_req_ids: set[str]
    num_computed_tokens: list[int]


class Batch(Protocol):
    """`SchedulerOutput`: what a step is to compute. Pickled to the workers with its attributes."""

    scheduled_new_reqs: Sequence[NewMember]
    scheduled_cached_reqs: CachedMembers
    num_scheduled_tokens: dict[str, int]
    total_num_scheduled_tokens: int
    scheduled_spec_decode_tokens: Mapping[str, Sized]
    otel_llm_step: tuple[str, int, int]


class Result(Protocol):
    """`ModelRunnerOutput`: what a step has computed, in an order of the workers' own."""

    req_ids: list[str]
    req_id_to_index: dict[str, int]
    sampled_token_ids: list[list[int]]
    cudagraph_stats: Any


class Scheduler(Protocol):
    """`Scheduler`, and every scheduler that inherits from it."""

    running: Sequence[CoreRequest]
    waiting: Sized
    kv_holding_waiting: Sized
    requests: Mapping[str, CoreRequest]
    kv_cache_manager: Any
    vllm_config: Any
