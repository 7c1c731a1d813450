"""vLLM's objects as the engine core's hooks read them, for tests without vLLM."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

RUNNING, WAITING, PREEMPTED = "running", "waiting", "preempted"


class Request:
    """`vllm.v1.request.Request`, as far as the hooks and the model need it."""

    def __init__(self, request_id: str, prompt: int, max_tokens: int = 16) -> None:
        self.request_id = request_id
        self.num_prompt_tokens = prompt
        self.num_computed_tokens = 0
        self.num_in_flight_tokens = 0
        self.num_stale_output_tokens = 0
        self.num_output_placeholders = 0
        self.drop_stale_output = False
        self.is_prefill_chunk = False
        self.spec_tokens = 0
        self.num_preemptions = 0
        self.output: list[int] = []
        self.status = WAITING
        self.reason: str | None = None
        self.trace_headers: Mapping[str, str] | None = None
        self.arrival_time = 0.0
        self.sampling_params: Any = SimpleNamespace(max_tokens=max_tokens)
        self.pooling_params: Any = None
        self.lora_request: Any = None
        self.truth = Truth()

    @property
    def num_output_tokens(self) -> int:
        """Tokens generated."""
        return len(self.output)

    @property
    def num_tokens(self) -> int:
        """Tokens known."""
        return self.num_prompt_tokens + len(self.output)

    def get_finished_reason(self) -> str | None:
        """How it ended."""
        return self.reason


@dataclass
class Truth:
    """What became of each position of a request, kept as sets: an account made another way.

    Attributes:
        covered: positions that steps included or a cache held, without those thrown away.
        cached: positions that came from a cache and were not covered before.
        scheduled: tokens scheduled in all.
    """

    covered: set[int] = field(default_factory=set)
    cached: int = 0
    scheduled: int = 0
    recomputed: int = 0
    rejected: int = 0
    discarded: int = 0
    emitted: int = 0


@dataclass
class CachedRequestData:
    req_ids: list[str]
    resumed_req_ids: set[str]
    num_computed_tokens: list[int]


@dataclass(eq=False)
class SchedulerOutput:
    scheduled_new_reqs: list[Any]
    scheduled_cached_reqs: CachedRequestData
    num_scheduled_tokens: dict[str, int]
    scheduled_spec_decode_tokens: dict[str, list[int]]
    samples: set[str] = field(default_factory=set)  # the model's own: who gets a token
    worth: dict[str, int] = field(default_factory=dict)  # the model's own: see `Truth`
    live: set[str] = field(default_factory=set)  # the model's own: whose worth is not settled

    @property
    def total_num_scheduled_tokens(self) -> int:
        """Tokens of all members."""
        return sum(self.num_scheduled_tokens.values())


@dataclass
class ModelRunnerOutput:
    req_ids: list[str]
    req_id_to_index: dict[str, int]
    sampled_token_ids: list[list[int]]
    cudagraph_stats: Any = None
    failed_loads: set[str] = field(default_factory=set)  # the model's own


def vllm_config(**parallel: int) -> Any:  # noqa: ANN401  a double
    """A `VllmConfig`."""
    return SimpleNamespace(
        model_config=SimpleNamespace(model="m", served_model_name="tiny"),
        parallel_config=SimpleNamespace(**({"data_parallel_rank": 0} | parallel)),
        observability_config=SimpleNamespace(otlp_traces_endpoint=None),
    )
