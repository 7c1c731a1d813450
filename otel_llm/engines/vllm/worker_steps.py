"""Steps in a worker: the CUPTI shim is told which one runs, or CUDA events time it.

The step comes with the scheduler's output (`otel_llm_step`). Read in vLLM 0.32,
`vllm/v1/worker/gpu_worker.py`: `execute_model` gets that output; where it returns None,
`sample_tokens` follows at once for the same step. Both are replaced on the worker itself, whose
class is known only once there is one. Ray's compiled graphs go past the worker: there all kernels
are under step 0.
"""

import os
import sys
import weakref
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import msgspec

from otel_llm.clock import MonotonicNs
from otel_llm.engines.vllm import extract, package
from otel_llm.facts.kernel import StepGpuTime
from otel_llm.isolation import Guard
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.patching import Patch, PatchSet, Replacement
from otel_llm.settings import Settings, load

if TYPE_CHECKING:
    from otel_llm.kernels.cuda_events import EventTimer
    from otel_llm.kernels.shim_library import Shim
    from otel_llm.kernels.whose import Whose

Hooked = Callable[..., Any]
DRIVER = "/dev/nvidiactl"
"""Is there where a process can reach an NVIDIA driver; the shim is not loaded without one."""
JOURNAL_BYTES = 2 << 20
"""Of a worker's journal: minutes of steps."""
LOOK_EVERY = 128
"""So often, in steps, it is asked whether the shim records."""

_guard = Guard("vllm.steps")
_followed: "weakref.WeakKeyDictionary[Any, tuple[PatchSet, WorkerSteps]]" = (
    weakref.WeakKeyDictionary()
)


class WorkerSteps:
    """The steps of one worker.

    Args:
        whose: the worker; its engine is told by its steps.
        shim: the shim in this process, if there is one.
        cuda: `torch.cuda`, to time steps where the shim records nothing; None for no timing.
        settings: where the times go.
    """

    def __init__(self, whose: "Whose", shim: "Shim | None", cuda: Any, settings: Settings) -> None:  # noqa: ANN401
        self._whose = whose
        self._shim = shim
        self._set_step = _ignore if shim is None else shim.set_step
        self._settings = settings
        self._journal: Journal | None = None
        self._all_timers = _timer(cuda, self._tell)
        self._timer: EventTimer | None = None
        self._steps = 0
        self._seq = 0

    def begin(self, step: tuple[str, int, int]) -> None:
        """A step begins; as the scheduler's hook has marked it. Never raises."""
        try:
            engine, dp_rank, self._seq = step
            if engine != self._whose.engine or dp_rank != self._whose.dp_rank:
                self._belongs_to(engine, dp_rank)
            if not self._steps % LOOK_EVERY:
                self._look()
            self._steps += 1
            self._set_step(self._seq)
            if self._timer is not None:
                self._timer.begin(self._seq)
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            _guard.swallow(error)

    def goes_on(self) -> bool:
        """The step's second part begins. Never raises. Whether there is a step at all."""
        if self._seq:
            self._set_step(self._seq)
        return self._seq != 0

    def ends(self) -> None:
        """A part of the step has ended. Never raises."""
        self._set_step(0)
        if self._timer is not None:
            try:
                self._timer.end()
            except Exception as error:  # noqa: BLE001  as above
                _guard.swallow(error)

    def nobodys(self) -> None:
        """What runs now belongs to no step: a dummy batch, or one that the core did not mark."""
        self._seq = 0

    def close(self) -> None:
        """Tell what is known, and let go of the journal."""
        if self._timer is not None:
            self._timer.settle()
        if self._journal is not None:
            self._journal.close()

    def _belongs_to(self, engine: str, dp_rank: int) -> None:
        self._whose = msgspec.structs.replace(self._whose, engine=engine, dp_rank=dp_rank)
        if self._shim is not None:
            self._shim.identify(**msgspec.structs.asdict(self._whose))

    def _look(self) -> None:
        """Events are for where CUPTI records nothing, and that can change at any time."""
        records = self._shim is not None and self._shim.records()
        wanted = None if records else self._all_timers
        if self._timer is not None and wanted is None:
            self._timer.settle()
        self._timer = wanted

    def _tell(self, seq: int, launched_ns: MonotonicNs, gpu_ns: int) -> None:
        if self._journal is None:
            self._journal = _open(self._whose, self._settings)
        whose = self._whose
        self._journal.write(
            StepGpuTime(
                seq, whose.engine, whose.dp_rank, whose.rank, whose.device, launched_ns, gpu_ns
            )
        )


def prepare(config: Any) -> None:  # noqa: ANN401  vLLM's VllmConfig
    """Load the shim before CUDA is started: kernels are instrumented when they are loaded.

    Does nothing without a driver, and where `kernels` is off or the shim was not built.
    """
    settings = load()
    if not settings.enabled or settings.kernels == "off" or not os.path.exists(DRIVER):  # noqa: PTH110  quicker
        return
    from otel_llm.kernels import shim_library

    if config.device_config.device_type == "cuda" and shim_library.library_path() is not None:
        shim_library.export(settings)
        shim_library.Shim()


def follow(worker: Any, config: Any, device: str) -> None:  # noqa: ANN401
    """Put the hooks on a worker that has its device. None are put where they would do nothing.

    Args:
        worker: vLLM's `WorkerBase`, of any platform.
        config: its `VllmConfig`.
        device: UUID of its GPU; empty if it has none.
    """
    settings = load()
    if not settings.enabled:
        return
    from otel_llm.kernels import shim_library
    from otel_llm.kernels.whose import Whose

    shim = shim_library.attached()
    torch: Any = sys.modules.get("torch")
    cuda = torch.cuda if torch and device and settings.step_events else None
    if shim is None and cuda is None:
        return
    served = extract.served(config)
    whose = Whose(
        dp_rank=served.dp_rank,
        rank=worker.rank,
        device=device,
        device_number=getattr(getattr(worker, "device", None), "index", None) or 0,
        software=package.ENGINE,
        version=package.installed_version(),
        model=served.model,
        service=settings.service or package.ENGINE,
    )
    _put(worker, WorkerSteps(whose, shim, cuda, settings))


def close_all() -> None:
    """Take the hooks off every worker of this process."""
    for worker in list(_followed):
        patches, steps = _followed.pop(worker)
        patches.undo()
        steps.close()


def _put(worker: Any, steps: WorkerSteps) -> None:  # noqa: ANN401
    patches = PatchSet(
        Patch(
            "vllm.steps",
            (
                Replacement(worker, "execute_model", partial(_execute_model, steps=steps)),
                Replacement(worker, "sample_tokens", partial(_sample_tokens, steps=steps)),
            ),
        )
    )
    if not patches.apply():
        _followed[worker] = (patches, steps)


def _execute_model(original: Hooked, steps: WorkerSteps) -> Hooked:
    begin, ends = steps.begin, steps.ends

    @wraps(original)
    def hooked(scheduler_output: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        try:
            step = scheduler_output.otel_llm_step
        except AttributeError:
            steps.nobodys()
            return original(scheduler_output, *args, **kwargs)
        begin(step)
        try:
            return original(scheduler_output, *args, **kwargs)
        finally:
            ends()

    return hooked


def _sample_tokens(original: Hooked, steps: WorkerSteps) -> Hooked:
    @wraps(original)
    def hooked(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if not steps.goes_on():
            return original(*args, **kwargs)
        try:
            return original(*args, **kwargs)
        finally:
            steps.ends()

    return hooked


def _timer(cuda: Any, tell: Callable[[int, MonotonicNs, int], None]) -> "EventTimer | None":  # noqa: ANN401
    if cuda is None:
        return None
    from otel_llm.kernels.cuda_events import EventTimer

    return EventTimer(cuda, tell)


def _open(whose: "Whose", settings: Settings) -> Journal:
    small = min(settings.journal_bytes, JOURNAL_BYTES)
    return open_journal(
        kind="worker",
        service=whose.service,
        engine=whose.software,
        engine_version=whose.version,
        model=whose.model,
        dp_rank=whose.dp_rank,
        settings=msgspec.structs.replace(settings, journal_bytes=small),
    )


def _ignore(_seq: int) -> None:
    """Stands for a shim that is not there."""
