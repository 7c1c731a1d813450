"""The faults: what each does, which alert must tell it, and how soon that can be."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.drills import scale
from benchmarks.drills.load import Caller, Load
from benchmarks.drills.stack import AFTER_S, BUSY_W, DrillStack
from benchmarks.drills.watch import Watch
from otel_llm.alert_rules import durations

Break = Callable[[DrillStack], "Load | None"]


class Fault(NamedTuple):
    """One drill.

    Attributes:
        name: in a few words.
        alert: what must be told.
        labels: that it must carry.
        break_it: does it; returns callers that come with it.
        prepare: restarts what must be otherwise first, such as the agent on a recording that breaks
            a device after `AFTER_S`.
        least_s: least time to the alert's condition, its `for` included, in seconds on the scaled
            rules; of a burn it is computed from the error share that was measured.
        signal_s: time until the fault can show in a metric at all: a slow call must end first.
        pages: further pages that are right, because callers suffer.
        mend: undoes it; None if `steady` and the end of its callers do.
        slo: of a burn.
    """

    name: str
    alert: str
    break_it: Break
    least_s: float = 0.0
    signal_s: float = 0.0
    labels: Mapping[str, str] = MappingProxyType({})
    pages: tuple[str, ...] = ()
    mend: Callable[[DrillStack], None] | None = None
    slo: str = ""
    prepare: Callable[[DrillStack], None] | None = None


def _m(minutes: float) -> float:
    """Scaled seconds of a rule's minutes."""
    return minutes * 60 / scale.SCALE


def _callers(*callers: Caller) -> Break:
    return lambda stack: Load(stack.gateway_url, stack.engines.model, callers)


def _event(**event: object) -> Callable[[DrillStack], None]:
    return lambda stack: stack.devices([{"at_s": AFTER_S, **event}])


def _by_itself(_stack: DrillStack) -> None:
    """The recording breaks it."""


def _devices(watts: float = BUSY_W) -> Callable[[DrillStack], None]:
    return lambda stack: stack.devices([], watts)


def _slow(stack: DrillStack) -> None:
    stack.slow(*stack.engine_names)


def _slow_at_work(stack: DrillStack) -> Load:
    """Slow by the engine's own times too, with more work than it can do then.

    An engine that is stopped while it is idle only takes its next call late.
    """
    stack.slow(*stack.engine_names)
    return Load(stack.gateway_url, stack.engines.model, (Caller("hooli", 4.0, 60, 100),))


def _throttled(reason: int) -> Callable[[DrillStack], None]:
    return lambda stack: stack.devices([], throttle=reason)


def _revive(*names: str) -> Callable[[DrillStack], None]:
    def mend(stack: DrillStack) -> None:
        for name in names:
            stack.restart_engine(name)

    return mend


def _kill(*names: str) -> Callable[[DrillStack], None]:
    def happen(stack: DrillStack) -> None:
        for name in names:
            stack.kill(name)

    return happen


def _restart(*options: str) -> Callable[[DrillStack], None]:
    def happen(stack: DrillStack) -> None:
        for name in stack.engine_names:
            stack.restart_engine(name, *options)

    return happen


def _stand_still(stack: DrillStack) -> Load:
    load = Load(stack.gateway_url, stack.engines.model, (Caller("hooli", 2.0, 60, 200),))
    stack.freeze_at_work("engine-b")
    return load


def _fails(name: str) -> Callable[[DrillStack], None]:
    return lambda stack: stack.restart_engine(name, "--fail-window", "0:100000")


def _start_up(stack: DrillStack) -> None:
    stack.start_up()


def _start_agent(stack: DrillStack) -> None:
    stack.start_agent()


_HEAL = _devices()
_SLOW_S = 20.0
"""A call on a slow engine takes so long to end."""

FAULTS: tuple[Fault, ...] = (
    Fault("dead engine", "EngineDead", _kill("engine-b"), signal_s=2, mend=_revive("engine-b")),
    Fault(
        "all engines dead", "AllBreakersOpen", _kill("engine-a", "engine-b"), _m(2), 6,
        pages=("EngineDead", "AvailabilityBurn"), mend=_revive("engine-a", "engine-b"),
    ),
    Fault(
        "engine refuses every request", "BreakerOpen", _fails("engine-b"), _m(2.5) + _m(1), 8,
        mend=_revive("engine-b"),
    ),
    Fault(
        # Its 45 s are counted by the agent, and not scaled.
        "engine stands still", "StepsStuck", _stand_still, 45, 5,
        labels={"service_name": "engine-b"}, pages=("TtftCallerBurn", "AvailabilityBurn"),
    ),
    Fault(
        "slow engines", "TtftCallerBurn", _slow, signal_s=_SLOW_S, slo="ttft-caller",
        labels={"severity": "critical"}, pages=("AvailabilityBurn",),
    ),
    Fault(
        "queue flood", "AvailabilityBurn",
        _callers(Caller("hooli", 40, 200, 100)), signal_s=5, slo="availability",
        labels={"severity": "critical"}, pages=("TtftCallerBurn",),
    ),
    Fault(
        # Busy engines refuse with 429, which opens no breaker: each refused call is tried again.
        "retry storm", "RetryStorm", _callers(Caller("hooli", 10, 60, 900)), 1.5 + _m(2), 5,
        pages=("AvailabilityBurn", "TtftCallerBurn"),
        prepare=_restart("--max-waiting", "1"), mend=_restart(),
    ),
    Fault(
        "KV cache exhausted", "KvCacheSaturated", _callers(Caller("initech", 20, 150, 250)),
        _m(5) + _m(5), 15, pages=("TtftCallerBurn", "AvailabilityBurn"),
        prepare=_restart("--max-running", "32"), mend=_restart(),
    ),
    Fault(
        "noisy neighbour with giant prompts", "TtftCallerBurn",
        # A fast machine takes six of them a second in its stride.
        _callers(Caller("hooli", 16, 1700, 8)), signal_s=_SLOW_S, slo="ttft-caller",
        labels={"severity": "critical"}, pages=("AvailabilityBurn",),
    ),
    Fault(
        "errors of one tenant", "TenantErrors", _callers(Caller("initech", 10, 20, 0)),
        1.2 + _m(2), 1, labels={"tenant": "initech"},
    ),
    Fault("agent death", "AgentDown", _kill("agent"), _m(0.5), 1, mend=_start_agent),
    Fault("ClickHouse down", "StoreDown", _kill("up"), _m(1), 1, mend=_start_up),
    Fault(
        "XID 79, off the bus", "GpuFatalXid", _by_itself, signal_s=1,
        prepare=_event(event="xid", code=79),
        labels={"code": "79"}, mend=_HEAL,
    ),
    Fault(
        "XID 48, double bit error", "GpuFatalXid", _by_itself, signal_s=1,
        prepare=_event(event="xid", code=48),
        labels={"code": "48"}, mend=_HEAL,
    ),
    Fault("GPU lost", "GpuLost", _by_itself, 0, 1, prepare=_event(event="lost"), mend=_HEAL),
    Fault(
        "XID 74, NVLink", "NvLinkErrors", _by_itself, 0, 1, prepare=_event(event="xid", code=74),
        labels={"code": "74"}, mend=_HEAL,
    ),
    Fault(
        "uncorrected ECC error", "GpuEccUncorrected", _by_itself, signal_s=2,
        prepare=_event(ecc=1), mend=_HEAL,
    ),
    Fault(
        "thermal throttling", "GpuThrottledWhileSlow", _slow_at_work,
        _m(2.5) + _m(3), _SLOW_S, {"reason": "hw_thermal"},
        ("TtftCallerBurn", "AvailabilityBurn"), _HEAL, prepare=_throttled(0x40),
    ),
    Fault(
        "power cap", "GpuThrottledWhileSlow", _slow_at_work,
        _m(2.5) + _m(3), _SLOW_S, {"reason": "sw_power_cap"},
        ("TtftCallerBurn", "AvailabilityBurn"), _HEAL, prepare=_throttled(0x4),
    ),
    Fault(
        "three times the energy", "EnergyPerTokenBurn", _by_itself, prepare=_devices(700.0),
        signal_s=3, slo="energy-per-token", mend=_HEAL,
    ),
)  # fmt: skip


def bound_s(fault: Fault, watch: Watch) -> float:
    """Longest time that a drill may take to tell, in seconds.

    Least time to the condition plus `for`, two evaluations, one scrape, and what the fault needs to
    show at all. Of a burn, least time and `for` come from the error share that is seen.
    """
    overhead_s = fault.signal_s + 3 * scale.EVERY_S
    if not fault.slo:
        return fault.least_s + overhead_s
    (slo,) = [one for one in scale.slos() if one.name == fault.slo]
    pairs = [
        pair
        for pair in scale.pairs(slo)
        if pair.severity == fault.labels.get("severity", pair.severity)
        and (slo.page or pair.severity == "warning")
    ]
    base = durations.text(min(pair.short_s for pair in scale.pairs(slo)))
    share = watch.value(f'max(slo:sli_error:ratio_rate{base}{{slo="{slo.name}"}})') or 0.0
    return overhead_s + min(
        pair.least_detection_s(slo.budget, share) + pair.for_s for pair in pairs
    )
