"""A scripted model runner: it decides what comes out of each step of a real scheduler, and when."""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from vllm.pooling_params import PoolingParams
from vllm.sampling_params import SamplingParams
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import (
    EngineCoreOutput,
    EngineCoreOutputs,
    EngineCoreRequest,
    EngineCoreRequestType,
)
from vllm.v1.outputs import DraftTokenIds, LogprobsLists, ModelRunnerOutput
from vllm.v1.request import Request
from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder

from tests.engines.vllm.real.config import EOS, Shape, engine_core

STOP = 3
"""A stop token of every request that `request` makes."""

_FIRST_TOKEN = 100


def request(
    request_id: str,
    prompt: int | Sequence[int],
    *,
    pooling: bool = False,
    **given: Any,  # noqa: ANN401
) -> EngineCoreRequest:
    """A request as the API server sends it to the engine core.

    Args:
        request_id: its internal id.
        prompt: its tokens, or how many; then they differ from every other request's.
        pooling: an embedding is asked for.
        given: fields of `EngineCoreRequest`; any other goes to `SamplingParams`.
    """
    fields = {
        name: given.pop(name)
        for name in tuple(given)
        if name in EngineCoreRequest.__struct_fields__
    }
    tokens = _own_tokens(request_id, prompt) if isinstance(prompt, int) else list(prompt)
    sampling = None if pooling else SamplingParams(**({"max_tokens": 8} | given))
    if sampling is not None:
        sampling.stop_token_ids = [STOP]
        sampling.update_from_generation_config({}, EOS)
    return EngineCoreRequest(
        request_id=request_id,
        prompt_token_ids=tokens,
        mm_features=None,
        sampling_params=sampling,
        pooling_params=PoolingParams(task="embed") if pooling else None,
        **{
            "arrival_time": time.time(),
            "lora_request": None,
            "cache_salt": None,
            "data_parallel_rank": None,
            "external_req_id": request_id,
        }
        | fields,
    )


def _own_tokens(request_id: str, count: int) -> list[int]:
    start = sum(request_id.encode()) * 31
    return [10 + (start + 7 * position + position // 5) % 400 for position in range(count)]


@dataclass
class Flight:
    """A step whose result is not in.

    Attributes:
        output: what the scheduler decided.
        samples: the members whose last token so far is in this step, so that a token comes out.
        drafts: speculative tokens of each member.
        context: tokens of each member computed before the step.
        counts: requests running and waiting, KV blocks in use, when it had been scheduled.
        emitted: output tokens each member gained, when the result is in.
        accepted: drafts of each member that were accepted, when the result is in.
    """

    output: SchedulerOutput
    samples: frozenset[str]
    drafts: dict[str, int]
    context: dict[str, int]
    counts: tuple[int, int, int]
    emitted: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)


@dataclass
class Engine:
    """A real scheduler and a scripted model runner. Steps and results come when the test says.

    Attributes:
        shape: how it is set up.
        flying: steps whose result is not in, the oldest first.
        steps: every step that had a member, in order.
        requests: every request that was added.
        emitted: tokens that were given out, by request.
        cut: tokens that came out behind a stop token or a limit, by request.
        rejected: drafts that were rejected, by request.
    """

    shape: Shape
    flying: deque[Flight] = field(default_factory=deque)
    steps: list[Flight] = field(default_factory=list)
    requests: dict[str, Request] = field(default_factory=dict)
    emitted: dict[str, list[int]] = field(default_factory=dict)
    cut: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.core = engine_core(self.shape)
        self.scheduler: Scheduler = self.core.scheduler
        self._next_token = _FIRST_TOKEN

    def add(
        self,
        request_id: str | EngineCoreRequest,
        prompt: int | Sequence[int] = 8,
        **given: Any,  # noqa: ANN401
    ) -> Request:
        """Send a request over the wire, preprocess it and put it into the scheduler's queue.

        The scheduler does not get it where the engine core refuses it.
        """
        made = request_id
        if not isinstance(made, EngineCoreRequest):
            made = request(str(request_id), prompt, **({"pooling": self.shape.pooling} | given))
        arrived, wave = self.core.preprocess_add_request(over_the_wire(made))
        self.core._handle_client_request(EngineCoreRequestType.ADD, (arrived, wave))
        self.requests[arrived.request_id] = arrived
        return arrived

    def abort(self, *request_ids: str) -> None:
        """Abort requests as a client's disconnect does."""
        self.core._handle_client_request(EngineCoreRequestType.ABORT, list(request_ids))

    def schedule(self) -> SchedulerOutput:
        """Schedule a step and put it in flight. An empty one is not executed, as in vLLM."""
        output = self.scheduler.schedule()
        members = {name: self.scheduler.requests[name] for name in output.num_scheduled_tokens}
        flight = Flight(
            output,
            frozenset(name for name, one in members.items() if not one.is_prefill_chunk),
            {name: len(ids) for name, ids in output.scheduled_spec_decode_tokens.items()},
            {
                name: one.num_computed_tokens - output.num_scheduled_tokens[name]
                for name, one in members.items()
            },
            (*self.scheduler.get_request_counts(), self._blocks_in_use()),
        )
        self.flying.append(flight)
        if members:
            self.steps.append(flight)
        return output

    def _blocks_in_use(self) -> int:
        pool = self.scheduler.kv_cache_manager.block_pool
        return self.shape.blocks - 1 - int(pool.get_num_free_blocks())

    def result(
        self,
        tokens: Mapping[str, Sequence[int]] | None = None,
        accept: int | Mapping[str, int] = 0,
        propose: int | Mapping[str, int] | None = None,
    ) -> dict[int, EngineCoreOutputs]:
        """Bring in the result of the oldest step in flight.

        Args:
            tokens: what came out, by request; the others' is one new token and one for each
                accepted draft.
            accept: how many drafts are accepted, at most those there are; of all, or by request.
            propose: how many drafts the runner proposes for the next step, without asynchronous
                scheduling; as many as there may be if None.

        Returns:
            What the engine core sends to its clients.
        """
        flight = self.flying.popleft()
        names = list(flight.output.num_scheduled_tokens)
        if self.shape.backwards:
            names.reverse()
        sampled = [self._sampled(flight, name, tokens or {}, accept) for name in names]
        given = dict(zip(names, (list(one) for one in sampled), strict=True))
        outputs = self.scheduler.update_from_output(
            flight.output, model_output(names, sampled, pooling=self.shape.pooling, flight=flight)
        )
        self._propose({name for name in names if given[name]}, propose)
        for one in each(outputs):
            self._note(flight, one, len(given[one.request_id]))
        return outputs

    def step(self, **given: Any) -> dict[int, EngineCoreOutputs]:  # noqa: ANN401
        """Schedule a step and bring its result in; the arguments are those of `result`."""
        self.schedule()
        return self.result(**given)

    def run(self, depth: int = 1, steps: int = 200, **given: Any) -> None:  # noqa: ANN401
        """Step until nothing is left, with up to `depth` steps in flight."""
        for _ in range(steps):
            if self.scheduler.has_requests():
                self.schedule()
            elif not self.flying:
                return
            if len(self.flying) >= depth or not self.scheduler.has_requests():
                self.result(**given)
        message = f"still at work after {steps} steps"
        raise AssertionError(message)

    def fresh(self, count: int) -> list[int]:
        """New tokens, none of which stops a request."""
        start = self._next_token
        self._next_token += count
        return [_FIRST_TOKEN + token % 300 for token in range(start, start + count)]

    def _sampled(
        self,
        flight: Flight,
        name: str,
        tokens: Mapping[str, Sequence[int]],
        accept: int | Mapping[str, int],
    ) -> list[int]:
        if name not in flight.samples or self.shape.pooling:
            return []
        if name in tokens:
            return list(tokens[name])
        wanted = accept if isinstance(accept, int) else accept.get(name, 0)
        return self.fresh(1 + min(wanted, flight.drafts.get(name, 0)))

    def _note(self, flight: Flight, one: EngineCoreOutput, sampled: int) -> None:
        """Keep what the scheduler took of a result, to be compared with the facts."""
        name, kept = one.request_id, len(one.new_token_ids)
        self.emitted.setdefault(name, []).extend(one.new_token_ids)
        flight.emitted[name] = kept
        self.cut[name] += sampled - kept
        if name in flight.drafts and sampled:
            flight.accepted[name] = sampled - 1
            self.rejected[name] += flight.drafts[name] - flight.accepted[name]

    def _propose(self, sampled: set[str], wanted: int | Mapping[str, int] | None) -> None:
        """Hand over drafts as `EngineCore.post_step` does."""
        if not self.shape.drafts or self.shape.asynchronous:
            return
        most = self.shape.drafts
        counts = {
            name: most
            if wanted is None
            else min(most, wanted)
            if isinstance(wanted, int)
            else wanted.get(name, 0)
            for name in sorted(sampled)
        }
        self.scheduler.update_draft_token_ids(
            DraftTokenIds(list(counts), [self.fresh(count) for count in counts.values()])
        )


def model_output(
    names: list[str], sampled: list[list[int]], *, pooling: bool, flight: Flight
) -> ModelRunnerOutput:
    """What a model runner returns for a step."""
    pooled = [torch.zeros(4) if name in flight.samples else None for name in names]
    return ModelRunnerOutput(
        req_ids=names,
        req_id_to_index={name: index for index, name in enumerate(names)},
        sampled_token_ids=sampled,
        logprobs=None if flight.drafts or pooling else _logprobs(sampled),
        pooler_output=pooled if pooling else None,
    )


def _logprobs(sampled: list[list[int]]) -> LogprobsLists:
    """For each member its token and four others, the likeliest first."""
    tokens = [[(one or [0])[0] + rank for rank in range(5)] for one in sampled]
    shares = [[-0.5 * (rank + 1) for rank in range(5)] for _ in sampled]
    return LogprobsLists(np.array(tokens), np.array(shares), np.zeros(len(sampled), dtype=int))


def over_the_wire(made: EngineCoreRequest) -> EngineCoreRequest:
    """Encode and decode a request as between API server and engine core."""
    decoded: EngineCoreRequest = MsgpackDecoder(EngineCoreRequest).decode(
        MsgpackEncoder().encode(made)
    )
    return decoded


def each(outputs: Mapping[int, EngineCoreOutputs]) -> list[EngineCoreOutput]:
    """All outputs of a step, whichever client they go to."""
    return [one for client in outputs.values() for one in client.outputs]
