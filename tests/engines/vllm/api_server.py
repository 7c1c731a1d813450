"""A model of vLLM's API server, for tests without vLLM.

Names, parameters and the order of calls are those of vLLM 0.32 (`v1/engine/output_processor.py`,
`async_llm.py`, `llm_engine.py`); a refusal is that of 0.33.
"""

# The shapes are vLLM's, and so are names, unused parameters and untyped values.
# ruff: noqa: ANN401, ARG002, D102

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass
class Request:
    """`EngineCoreRequest`."""

    request_id: str
    external_req_id: str | None
    arrival_time: float = 0.0
    prompt_token_ids: list[int] = field(default_factory=lambda: [1, 2, 3])
    sampling_params: Any = field(default_factory=lambda: SimpleNamespace(max_tokens=8, logprobs=0))
    pooling_params: Any = None
    lora_request: Any = None
    trace_headers: Mapping[str, str] | None = None
    resumable: bool = False


@dataclass
class Output:
    """`EngineCoreOutput`; `error` is the class to be raised for a refusal."""

    request_id: str
    new_token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None
    pooling_output: object = None
    error: Any = None
    stop_string: bool = False


class State:
    """`RequestState`."""

    def __init__(self, request: Request, parent: Any) -> None:
        self.request_id = request.request_id
        self.parent_req = parent
        self.prompt_len = len(request.prompt_token_ids)
        lora = request.lora_request
        self.lora_name = None if lora is None else lora.lora_name
        self.tokens: list[int] = []
        count = SimpleNamespace(num_output_tokens=lambda: len(self.tokens))
        self.detokenizer = count if request.pooling_params is None else None
        self.streaming_input = request.resumable
        self.idle = False  # a session whose input so far is answered

    def make_request_output(
        self, new_token_ids: list[int], pooling_output: object, finish_reason: str | None
    ) -> tuple[Any, ...]:
        return (self.request_id, list(new_token_ids), pooling_output, finish_reason)


class OutputProcessor:
    """`OutputProcessor`."""

    def __init__(self) -> None:
        self.request_states: dict[str, State] = {}
        self.delivered: list[tuple[Any, ...]] = []

    def add_request(
        self,
        request: Request,
        prompt: str | None,
        parent_req: Any = None,
        request_index: int = 0,
        queue: object = None,
    ) -> None:
        state = self.request_states.get(request.request_id)
        if state is None:
            self.request_states[request.request_id] = State(request, parent_req)
        elif not request.resumable and state.idle:
            self._finish_request(state)
        elif not request.resumable:
            state.streaming_input = False

    def process_outputs(
        self, engine_core_outputs: list[Output], engine_core_timestamp: float | None = None
    ) -> list[str]:
        aborts = []
        for output in engine_core_outputs:
            state = self.request_states.get(output.request_id)
            if state is None:
                continue
            if output.error is not None:
                self._finish_request(state)
                continue
            state.tokens += output.new_token_ids
            self.delivered.append(
                state.make_request_output(
                    output.new_token_ids, output.pooling_output, output.finish_reason
                )
            )
            if output.finish_reason is None:
                continue
            if state.streaming_input:
                state.idle = True
                continue
            self._finish_request(state)
            if output.stop_string:
                aborts.append(state.request_id)
            self._update_stats_from_finished(state, output.finish_reason, None)
        return aborts

    def _finish_request(self, req_state: State) -> None:
        self.request_states.pop(req_state.request_id)

    def _update_stats_from_finished(
        self, req_state: State, finish_reason: str | None, iteration_stats: object
    ) -> None: ...

    def abort_requests(self, request_ids: Iterable[str], internal: bool) -> list[str]:
        aborted: list[str] = []
        for request_id in request_ids:
            state = self.request_states.pop(request_id, None)
            if state is not None:
                aborted.append(request_id)
                pooled = object() if state.detokenizer is None else None
                self.delivered.append(
                    state.make_request_output(
                        new_token_ids=[], pooling_output=pooled, finish_reason="abort"
                    )
                )
                continue
            children = [
                one.request_id
                for one in self.request_states.values()
                if one.parent_req is not None and one.parent_req.request_id == request_id
            ]
            aborted += self.abort_requests(children, internal=True) if children else []
        return aborted

    def propagate_error(self, e: Exception) -> None:
        for state in self.request_states.values():
            self.delivered.append((state.request_id, e))


def _config(model: str) -> Any:
    return SimpleNamespace(
        model_config=SimpleNamespace(served_model_name=model, model=model),
        parallel_config=SimpleNamespace(data_parallel_rank=0),
    )


class LLMEngine:
    """`LLMEngine`, the engine of library use. What it would send to the core is kept."""

    def __init__(self, model: str = "m") -> None:
        self.vllm_config = _config(model)
        self.output_processor = OutputProcessor()
        self.sent: list[Request] = []

    def add_request(
        self,
        request_id: str,
        prompt: Any,
        params: Any,
        arrival_time: float | None = None,
        lora_request: Any = None,
        trace_headers: Mapping[str, str] | None = None,
    ) -> str:
        request = _request(request_id, prompt, params, trace_headers)
        request.lora_request = lora_request
        self.output_processor.add_request(request, None, None, 0)
        self.sent.append(request)
        return request.request_id


class AsyncLLM:
    """`AsyncLLM`, the engine of the API server. Drops trace headers, as vLLM does."""

    def __init__(self, model: str = "m") -> None:
        self.vllm_config = _config(model)
        self.output_processor = OutputProcessor()
        self.sent: list[Request] = []

    async def add_request(
        self,
        request_id: str,
        prompt: Any,
        params: Any,
        arrival_time: float | None = None,
        lora_request: Any = None,
        trace_headers: Mapping[str, str] | None = None,
    ) -> str:
        self.offered = trace_headers
        parent = _request(request_id, prompt, params, None)
        n = getattr(params, "n", 1)
        if n == 1:
            self.output_processor.add_request(parent, None, None, 0, object())
            self.sent.append(parent)
            return parent.request_id
        group = SimpleNamespace(
            request_id=parent.request_id, external_req_id=parent.external_req_id, n=n
        )
        for index in range(n):
            child = Request(f"{index}_{parent.request_id}", parent.external_req_id)
            self.output_processor.add_request(child, None, group, index, object())
            self.sent.append(child)
        return parent.request_id

    def shutdown(self, timeout: float | None = None) -> None: ...


def _request(
    request_id: str, prompt: Any, params: Any, headers: Mapping[str, str] | None
) -> Request:
    if isinstance(prompt, Request):
        return prompt
    pooling = params if hasattr(params, "task") else None
    made = Request(f"{request_id}-0f", request_id, trace_headers=headers, pooling_params=pooling)
    if pooling is not None:
        made.sampling_params = None
    elif params is not None:
        made.sampling_params = params
    return made


class BaseServing:
    """`BaseServing`, with a handler that serves a call as vLLM's do."""

    @staticmethod
    def _base_request_id(raw_request: Any, default: str | None = None) -> str | None:
        if raw_request is not None and "X-Request-Id" in raw_request.headers:
            return str(raw_request.headers["X-Request-Id"])
        return default

    async def _get_trace_headers(self, headers: Mapping[str, str]) -> Mapping[str, str] | None:
        found = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
        return found or None


class LLM:
    """`LLM`."""

    def __init__(self) -> None:
        self.llm_engine = LLMEngine()

    def generate(self, *ids: str) -> None:
        for one in ids:
            self.llm_engine.add_request(one, None, None)

    def chat(self, *ids: str) -> None:
        self.generate(*ids)

    def score(self, *ids: str) -> None:
        for one in ids:
            self.llm_engine.add_request(one, None, SimpleNamespace(task="classify"))

    def beam_search(self, *ids: str) -> None:
        self.generate(*ids)
