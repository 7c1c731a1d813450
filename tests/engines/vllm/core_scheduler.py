"""A model of vLLM's scheduler and model runner, for tests without vLLM.

Methods have the names and the order of effects of vLLM 0.32
(`vllm/v1/core/sched/scheduler.py`, `async_scheduler.py`): counts that run ahead of results,
placeholders, stale results that are delivered or dropped. What vLLM decides by itself (how long a
chunk is, who is preempted, what the prefix cache holds) is decided by a source of random numbers.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tests.engines.vllm.core_objects import (
    PREEMPTED,
    RUNNING,
    CachedRequestData,
    ModelRunnerOutput,
    Request,
    SchedulerOutput,
    vllm_config,
)

STOP_TOKEN = 7


@dataclass(frozen=True)
class Shape:
    """How the model is set up.

    Attributes:
        ahead: asynchronous scheduling.
        second_runner: resumed requests are told to the workers as new ones.
        drafts: speculative tokens per step; 0 for none.
        budget: tokens per step.
    """

    ahead: bool = False
    second_runner: bool = False
    drafts: int = 0
    budget: int = 64


@dataclass
class Plan:
    """A batch in the making."""

    budget: int
    tokens: dict[str, int] = field(default_factory=dict)
    drafts: dict[str, list[int]] = field(default_factory=dict)
    old: list[Request] = field(default_factory=list)
    new: list[Request] = field(default_factory=list)
    resumed: list[Request] = field(default_factory=list)

    def take(self, request: Request, count: int, drafts: int) -> None:
        """Schedule tokens of a request."""
        self.tokens[request.request_id] = count
        self.budget -= count
        if drafts > 0:
            self.drafts[request.request_id] = [-1] * drafts

    def output(self, *, second_runner: bool) -> SchedulerOutput:
        """What the workers are told."""
        new = self.new + self.resumed if second_runner else self.new
        resumed = [] if second_runner else self.resumed
        return SchedulerOutput(
            [
                SimpleNamespace(req_id=r.request_id, num_computed_tokens=r.num_computed_tokens)
                for r in new
            ],
            CachedRequestData(
                [r.request_id for r in self.old + resumed],
                {r.request_id for r in resumed},
                [r.num_computed_tokens for r in self.old + resumed],
            ),
            self.tokens,
            self.drafts,
        )


class Scheduler:
    """`vllm.v1.core.sched.scheduler.Scheduler`."""

    def __init__(self, shape: Shape, chance: random.Random) -> None:
        self.shape = shape
        self.chance = chance
        self.vllm_config = vllm_config()
        self.num_sampled_tokens_per_step = 1
        pool = SimpleNamespace(
            num_gpu_blocks=101, free_block_queue=SimpleNamespace(num_free_blocks=100)
        )
        self.kv_cache_manager = SimpleNamespace(block_pool=pool)
        self.requests: dict[str, Request] = {}
        self.waiting: deque[Request] = deque()
        self.kv_holding_waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self.drop_mode = False
        self.flying: list[SchedulerOutput] = []
        self.cache_hits = True
        self.preempts = True

    def add_request(self, request: Request) -> None:
        """Into the queue."""
        self.requests[request.request_id] = request
        self.waiting.append(request)

    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:  # noqa: ARG002
        """Make a batch: running requests first, then those that wait."""
        plan = Plan(self.shape.budget)
        preempted = self._schedule_running(plan)
        if not preempted:
            self._schedule_waiting(plan)
        output = plan.output(second_runner=self.shape.second_runner)
        self._update_after_schedule(output)
        return output

    def _schedule_running(self, plan: "Plan") -> bool:
        """Returns whether a request was preempted for another."""
        preempted = False
        for request in list(self.running):
            count = self._wanted(request, plan.budget) if request in self.running else 0
            if count <= 0:
                continue
            if self.preempts and self.chance.random() < 0.06:
                victim = self.running[-1]
                if victim.request_id in plan.tokens:
                    continue
                preempted = True
                self.running.remove(victim)
                self._preempt_request(victim, 0.0, drop_stale_output=self.drop_mode)
                if victim is request:
                    break
            drafts = (
                count + request.num_computed_tokens
                - request.num_tokens - request.num_output_placeholders
            )  # fmt: skip
            plan.take(request, count, drafts if request.spec_tokens else 0)
            plan.old.append(request)
            request.spec_tokens = 0
        return preempted

    def _schedule_waiting(self, plan: "Plan") -> None:
        while self.waiting and plan.budget > 0:
            request = self.waiting[0]
            if request.num_stale_output_tokens and not request.drop_stale_output:
                break
            hit = self._cache_hit(request)
            left = request.num_tokens - hit
            count, drafts = min(plan.budget, left), 0
            if self.chance.random() < 0.3:
                count = self.chance.randint(1, count)
            if left == 1 and plan.budget > self.shape.drafts and (plan.old or hit):
                drafts = self.shape.drafts
            self.waiting.popleft()
            self.running.append(request)
            (plan.resumed if request.status == PREEMPTED else plan.new).append(request)
            request.status = RUNNING
            request.num_computed_tokens = hit
            plan.take(request, count + drafts, drafts)

    def _wanted(self, request: Request, budget: int) -> int:
        """How many tokens a running request is given."""
        if (
            request.num_output_placeholders > 0
            and request.num_computed_tokens + 2 - request.num_output_placeholders
            >= request.num_prompt_tokens + request.sampling_params.max_tokens
        ):
            return 0
        known = request.num_tokens + request.spec_tokens + request.num_output_placeholders
        count = min(known - request.num_computed_tokens, budget)
        if count > 1 + self.shape.drafts and self.chance.random() < 0.5:
            count = self.chance.randint(1, count)
        return count

    def _cache_hit(self, request: Request) -> int:
        most = request.num_tokens - 1
        if not self.cache_hits or self.chance.random() < 0.5:
            return 0
        return most if self.chance.random() < 0.2 else self.chance.randint(0, most)

    def _update_after_schedule(self, output: SchedulerOutput) -> None:
        for one, count in output.num_scheduled_tokens.items():
            request = self.requests[one]
            self._note(request, count, output)
            request.num_computed_tokens += count
            request.num_in_flight_tokens += count
            request.is_prefill_chunk = request.num_computed_tokens < (
                request.num_tokens + request.num_output_placeholders
            )
            if request.is_prefill_chunk:
                continue
            output.samples.add(one)
            if self.shape.ahead:
                request.num_output_placeholders += 1 + len(
                    output.scheduled_spec_decode_tokens.get(one, ())
                )
                request.spec_tokens = self.shape.drafts
        if output.num_scheduled_tokens:
            self.flying.append(output)

    def _note(self, request: Request, count: int, output: SchedulerOutput) -> None:
        """Keep the account another way. Positions are true ones only outside of speculation.

        Under asynchronous speculation `num_computed_tokens` counts drafts in flight; so does the
        set, and a rejection takes the highest positions out of it again.
        """
        truth, context = request.truth, request.num_computed_tokens
        hit = set(range(context)) - truth.covered
        truth.cached += len(hit)
        truth.covered |= hit
        run = set(range(context, context + count))
        fresh = run - truth.covered
        truth.scheduled += count
        truth.recomputed += count - len(fresh)
        truth.covered |= run
        output.worth[request.request_id] = sum(p >= request.num_prompt_tokens for p in fresh)
        output.live.add(request.request_id)

    @staticmethod
    def _uncover(request: Request, count: int) -> None:
        for position in sorted(request.truth.covered)[len(request.truth.covered) - count :]:
            request.truth.covered.remove(position)

    def _preempt_request(
        self,
        request: Request,
        timestamp: float,  # noqa: ARG002
        drop_stale_output: bool = False,
    ) -> None:
        """Back into the queue, with nothing computed."""
        request.status = PREEMPTED
        request.num_computed_tokens = 0
        request.spec_tokens = 0
        request.drop_stale_output = drop_stale_output or (
            request.drop_stale_output and request.num_stale_output_tokens > 0
        )
        request.num_stale_output_tokens = request.num_in_flight_tokens
        request.num_output_placeholders = 0
        request.num_preemptions += 1
        self.waiting.appendleft(request)
        if request.drop_stale_output:
            self._drop_in_flight(request)

    def _drop_in_flight(self, request: Request) -> None:
        for output in self.flying:
            if request.request_id in output.live:
                output.live.remove(request.request_id)
                self._uncover(request, output.worth[request.request_id])
                request.truth.discarded += output.worth[request.request_id]

    def reset_prefix_cache(self) -> None:
        """Preempt all that run; what they have in flight is dropped."""
        while self.running:
            self._preempt_request(self.running.pop(), 0.0, drop_stale_output=True)

    def run_model(self, output: SchedulerOutput) -> ModelRunnerOutput:
        """What the workers return: members in an order of their own."""
        ids = list(output.num_scheduled_tokens)
        if self.chance.random() < 0.5:
            self.chance.shuffle(ids)
        sampled = []
        for one in ids:
            count = 0
            if one in output.samples:
                drafts = len(output.scheduled_spec_decode_tokens.get(one, ()))
                count = 1 + self.chance.randint(0, drafts)
            sampled.append([
                STOP_TOKEN if self.chance.random() < 0.05 else 1 for _ in range(count)
            ])  # fmt: skip
        return ModelRunnerOutput(ids, {one: i for i, one in enumerate(ids)}, sampled)

    def update_from_output(
        self, scheduler_output: SchedulerOutput, model_runner_output: ModelRunnerOutput
    ) -> dict[str, list[int]]:
        """Take a result in. Returns the new tokens by request."""
        emitted: dict[str, list[int]] = {}
        if scheduler_output in self.flying:
            self.flying.remove(scheduler_output)
        skipped: set[str] = set()
        if model_runner_output.failed_loads:
            skipped = self._handle_invalid_blocks(
                model_runner_output.failed_loads, scheduler_output.num_scheduled_tokens
            )
        for one, count in scheduler_output.num_scheduled_tokens.items():
            request = self.requests.get(one)
            stale = False
            if request is not None:
                request.num_in_flight_tokens -= count
                if request.num_stale_output_tokens > 0:
                    stale = True
                    request.num_stale_output_tokens -= count
                    assert request.num_stale_output_tokens >= 0
            if request is None or (stale and request.drop_stale_output):
                continue
            if one in skipped:
                self._uncover(request, scheduler_output.worth[one])
                request.truth.discarded += scheduler_output.worth[one]
                continue
            index = model_runner_output.req_id_to_index[one]
            tokens = model_runner_output.sampled_token_ids[index]
            drafts = len(scheduler_output.scheduled_spec_decode_tokens.get(one, ()))
            if drafts and tokens:
                rejected = drafts - (len(tokens) - 1)
                request.truth.rejected += rejected
                self._uncover(request, rejected)
                if not stale:
                    request.num_computed_tokens -= rejected
                    if request.num_output_placeholders > 0:
                        request.num_output_placeholders -= rejected
            emitted[one] = self._deliver(request, tokens, stale=stale)
        return emitted

    def _deliver(self, request: Request, tokens: list[int], *, stale: bool) -> list[int]:
        for number, token in enumerate(tokens, 1):
            request.output.append(token)
            limit = request.num_output_tokens >= request.sampling_params.max_tokens
            if token == STOP_TOKEN or limit:
                request.reason = "stop" if token == STOP_TOKEN else "length"
                request.truth.discarded += len(tokens) - number
                del tokens[number:]
                break
        request.truth.emitted += len(tokens)
        if not stale and self.shape.ahead and request.num_output_placeholders:
            request.num_output_placeholders -= len(tokens)
        if request.reason is not None:
            self._remove(request)
            self._free_request(request)
        elif tokens and not self.shape.ahead and request.status == RUNNING:
            request.spec_tokens = self.shape.drafts
        return tokens

    def _handle_invalid_blocks(self, invalid: set[str], scheduled: Mapping[str, int]) -> set[str]:
        """Roll members back to before what they took from elsewhere. Here named by their ids."""
        affected = set()
        for request in self.running:
            if request.request_id in invalid and request.request_id in scheduled:
                before = request.num_computed_tokens - scheduled[request.request_id]
                request.num_computed_tokens = self.chance.randint(0, before)
                affected.add(request.request_id)
        return affected

    def finish_requests(self, request_ids: list[str], reason: str = "abort") -> None:
        """End requests from outside."""
        for one in request_ids:
            request = self.requests.get(one)
            if request is not None:
                request.reason = reason
                self._remove(request)
                self._free_request(request)

    def _remove(self, request: Request) -> None:
        if request in self.running:
            self.running.remove(request)
        if request in self.waiting:
            self.waiting.remove(request)

    def _free_request(self, request: Request, delay_free_blocks: bool = False) -> tuple[None, None]:  # noqa: ARG002
        """Let go of a request."""
        for output in self.flying:
            if request.request_id in output.live:
                output.live.remove(request.request_id)
                request.truth.discarded += output.worth[request.request_id]
        del self.requests[request.request_id]
        return None, None

    def has_unfinished_requests(self) -> bool:
        """Whether any request waits or runs."""
        return bool(self.requests)


class EngineCore:
    """`vllm.v1.engine.core.EngineCore`."""

    def __init__(
        self, scheduler: Scheduler, wait_for_workers: Callable[[], None] = lambda: None
    ) -> None:
        self.scheduler = scheduler
        self.vllm_config = scheduler.vllm_config
        self._wait_for_workers = wait_for_workers

    def shutdown(self) -> None:
        """End."""
        self._wait_for_workers()

    def preprocess_add_request(self, request: Any) -> tuple[Request, int]:  # noqa: ANN401
        """From what the API server sends to what the scheduler takes."""
        made = Request(request.request_id, len(request.prompt_token_ids))
        made.trace_headers = request.trace_headers
        return made, 0
