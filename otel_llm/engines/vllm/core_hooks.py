"""The engine core's hooks: what stands in place of vLLM's methods.

Each calls the original once, with the caller's arguments, and returns what it returns; what the
original raises passes. Our own code runs before and after it, and never raises.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary, finalize

from otel_llm.engines.vllm import extract, worker_hooks
from otel_llm.engines.vllm.core import Core
from otel_llm.engines.vllm.core_arrivals import take_member
from otel_llm.engines.vllm.package import ENGINE, installed_version
from otel_llm.isolation import Guard
from otel_llm.recorder import Recorder

Hooked = Callable[..., Any]
CORE = "otel_llm_core"
"""The attribute of a scheduler that holds its `Core`. Two hooks name it literally, to be quick."""

LeftOut = Callable[[], "Sequence[str] | None"]

# Each with what closes its journal when it is collected.
_attached: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_guard = Guard("vllm.core")


def attach(scheduler: Any, left_out: Sequence[str] = ()) -> Core:  # noqa: ANN401
    """Follow a scheduler, with a journal of its own."""
    served = extract.served(scheduler.vllm_config)
    placed = worker_hooks.placed(scheduler.vllm_config)
    recorder = Recorder.open(
        engine=ENGINE,
        engine_version=installed_version(),
        model=served.model,
        dp_rank=served.dp_rank,
        left_out=left_out,
        devices=placed.devices,
        ranks=placed.ranks,
        model_source=served.source,
        model_revision=served.revision,
        shape=served.shape,
    )
    core = Core(scheduler, recorder)
    setattr(scheduler, CORE, core)
    _attached[scheduler] = closing = finalize(scheduler, recorder.close)
    closing.atexit = False  # the journal's own affair
    return core


def detach(scheduler: Any) -> None:  # noqa: ANN401
    """Follow a scheduler no longer, and close its journal."""
    core = vars(scheduler).pop(CORE, None)
    closing = _attached.pop(scheduler, None)
    if closing is not None:
        closing.detach()
    if core is not None:
        core.recorder.close()


def close_all() -> None:
    """Detach every scheduler of this process."""
    for scheduler in list(_attached):
        detach(scheduler)


def _follow(scheduler: Any, left_out: LeftOut) -> Core | None:  # noqa: ANN401
    """Follow a scheduler, unless the hooks have been undone and stand under another patch."""
    missing = left_out()
    return None if missing is None else attach(scheduler, missing)


def init(original: Hooked, left_out: LeftOut) -> Hooked:
    """Of `Scheduler.__init__`: follow it from now on."""

    @wraps(original)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        original(self, *args, **kwargs)
        with _guard:
            _follow(self, left_out)

    return hooked


def schedule(original: Hooked) -> Hooked:
    """Of `Scheduler.schedule`.

    Raises:
        TypeError: it takes other arguments than this hook hands on. A hook in every step has no
            time for any arguments there may be.
    """
    _expect(original, "self", "throttle_prefills")

    @wraps(original)
    def hooked(self: Any, throttle_prefills: Any = False) -> Any:  # noqa: ANN401
        batch = original(self, throttle_prefills)
        try:
            core = self.otel_llm_core
        except AttributeError:
            return batch
        core.scheduled(self, batch)
        return batch

    return hooked


def update_from_output(original: Hooked) -> Hooked:
    """Of `Scheduler.update_from_output`.

    Raises:
        TypeError: as for `schedule`.
    """
    _expect(original, "self", "scheduler_output", "model_runner_output")

    @wraps(original)
    def hooked(self: Any, scheduler_output: Any, model_runner_output: Any) -> Any:  # noqa: ANN401
        try:
            core = self.otel_llm_core
        except AttributeError:
            return original(self, scheduler_output, model_runner_output)
        core.update_begins(scheduler_output, model_runner_output)
        try:
            outputs = original(self, scheduler_output, model_runner_output)
        except BaseException:
            core.update_failed()
            raise
        core.update_ends(model_runner_output)
        return outputs

    return hooked


def _expect(original: Hooked, *names: str) -> None:
    found = tuple(inspect.signature(original).parameters)
    if found != names:
        message = f"{original.__name__} takes {', '.join(found)} where {', '.join(names)} was known"
        raise TypeError(message)


def add_request(original: Hooked, left_out: LeftOut, disown: Callable[[str], None]) -> Hooked:
    """Of `Scheduler.add_request`.

    A scheduler that was there before the hooks is followed from its first request on that finds it
    empty: what it holds has a past that nobody saw. What it takes in until then gives no facts, and
    the API server in this process is told that there will be no other half.
    """

    @wraps(original)
    def hooked(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        core = getattr(self, CORE, None)
        tracing = False
        with _guard:
            tracing = _tracing(self.vllm_config)
            if core is None:
                core = _follow_late(self, request, left_out, disown, tracing=tracing)
        # Asked before: a session's last input ends it in here.
        entered = core is not None and not core.knows(request)
        returned = original(self, request, *args, **kwargs)
        if core is not None and entered:
            core.queued(request, tracing=tracing)
        return returned

    return hooked


def _tracing(config: Any) -> bool:  # noqa: ANN401  vLLM's VllmConfig
    """Whether vLLM makes spans of its own."""
    return config.observability_config.otlp_traces_endpoint is not None


def _follow_late(
    scheduler: Any,  # noqa: ANN401
    request: Any,  # noqa: ANN401
    left_out: LeftOut,
    disown: Callable[[str], None],
    *,
    tracing: bool,
) -> Core | None:
    """Follow a scheduler that is empty; else see to it that nobody waits for facts of a request."""
    if not scheduler.requests:
        return _follow(scheduler, left_out)
    take_member(request, request.trace_headers, tracing=tracing)
    disown(request.request_id)
    return None


def free_request(original: Hooked) -> Hooked:
    """Of `Scheduler._free_request`, through which every request ends."""

    @wraps(original)
    def hooked(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        returned = original(self, request, *args, **kwargs)
        core = getattr(self, CORE, None)
        if core is not None:
            core.freed(request)
        return returned

    return hooked


def preempt_request(original: Hooked) -> Hooked:
    """Of `Scheduler._preempt_request`."""

    @wraps(original)
    def hooked(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        computed = getattr(request, "num_computed_tokens", 0)
        returned = original(self, request, *args, **kwargs)
        core = getattr(self, CORE, None)
        if core is not None:
            core.preempted(request, computed)
        return returned

    return hooked


def invalid_blocks(original: Hooked) -> Hooked:
    """Of `Scheduler._handle_invalid_blocks`, part of an update after a failed KV load."""

    @wraps(original)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        core = getattr(self, CORE, None)
        if core is None:
            return original(self, *args, **kwargs)
        computed = core.computed(self)
        failed = original(self, *args, **kwargs)
        core.load_failed(failed, computed)
        return failed

    return hooked


def preprocess(original: Hooked) -> Hooked:
    """Of `EngineCore.preprocess_add_request`, in the thread that takes requests in."""

    @wraps(original)
    def hooked(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        made = original(self, request, *args, **kwargs)
        with _guard:
            core = getattr(self.scheduler, CORE, None)
            if core is not None:
                core.arrived(request, made[0], tracing=_tracing(self.vllm_config))
        return made

    return hooked


def refuse(original: Hooked) -> Hooked:
    """Of `EngineCoreProc._send_finish_outputs_to_client`: how it ends what it will not take in.

    A core that shuts down, or that is paused in vLLM 0.33, refuses requests after `preprocess`.
    """

    @wraps(original)
    def hooked(
        self: Any,  # noqa: ANN401
        req_ids: Any,  # noqa: ANN401
        client_index: Any,  # noqa: ANN401
        finish_reason: Any,  # noqa: ANN401
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        returned = original(self, req_ids, client_index, finish_reason, *args, **kwargs)
        with _guard:
            core = getattr(self.scheduler, CORE, None)
            if core is not None:
                core.refused(req_ids, str(finish_reason))
        return returned

    return hooked


def shutdown(original: Hooked) -> Hooked:
    """Of `EngineCore.shutdown`: the journal is closed in order.

    It is closed first: the core then waits for its workers, and its API server kills it if that
    takes longer than `--shutdown-timeout`. A core told to stop has ended its requests; one that
    has not is failing, and its journal stays as it is for the flight recorder.
    """

    @wraps(original)
    def hooked(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with _guard:
            if not self.scheduler.has_unfinished_requests():
                detach(self.scheduler)
        return original(self, *args, **kwargs)

    return hooked
