"""How the engines are: what they did, what waits, what was lost. Each function is one statement."""

from typing import TYPE_CHECKING

import msgspec

from otel_llm.clock import EpochNs
from otel_llm.query.statements import ask
from otel_llm.query.window import Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """Work of one engine instance. Rates are per second of the stretch of time asked for.

    Attributes:
        start_ns: when the stretch of time begins.
        prefill_tokens_per_s, decode_tokens_per_s: tokens scheduled.
        batch_mean, batch_max: members of a step's batch.
        step_p50_s, step_p95_s: from scheduling a step to its result; None without one.
    """

    start_ns: EpochNs
    service: str
    instance_id: str
    dp_rank: int
    steps_per_s: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    batch_mean: float
    batch_max: int
    step_p50_s: float | None
    step_p95_s: float | None


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """What waits at one engine instance, as its steps saw it.

    Attributes:
        start_ns: when the stretch of time begins.
        waiting_mean, waiting_max, running_mean, running_max: requests.
        kv_mean_ratio, kv_max_ratio: KV blocks in use, of those there are; None if it tells none.
    """

    start_ns: EpochNs
    service: str
    instance_id: str
    dp_rank: int
    steps: int
    waiting_mean: float
    waiting_max: int
    running_mean: float
    running_max: int
    kv_mean_ratio: float | None
    kv_max_ratio: float | None


class Preemption(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that lost their place in the batch.

    Attributes:
        start_ns: when the stretch of time begins.
        preempted: requests that were, at least once.
        recomputed_ratio: tokens computed again, of all that were computed; None if none were.
    """

    start_ns: EpochNs
    service: str
    model: str
    requests: int
    preempted: int
    preemptions: int
    recomputed_tokens: int
    recomputed_ratio: float | None


class Stages(msgspec.Struct, frozen=True, kw_only=True):
    """Where finished requests spent their time in an engine. None where nothing was measured.

    Attributes:
        start_ns: when the stretch of time begins.
        queue_p50_s, queue_p95_s: from entering the queue to the first step.
        prefill_p50_s, prefill_p95_s: from the first step to the core first token.
        ttft_p50_s, ttft_p95_s: TTFT_engine.
        tpot_p50_s, tpot_p95_s: a request's mean time per output token after the first.
        e2e_p50_s, e2e_p95_s: from arrival to the end.
    """

    start_ns: EpochNs
    service: str
    model: str
    requests: int
    queue_p50_s: float | None
    queue_p95_s: float | None
    prefill_p50_s: float | None
    prefill_p95_s: float | None
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    tpot_p50_s: float | None
    tpot_p95_s: float | None
    e2e_p50_s: float | None
    e2e_p95_s: float | None


class ProcessDeath(msgspec.Struct, frozen=True, kw_only=True):
    """A process that went without closing its journal.

    Attributes:
        time_ns: its last sign of life.
        kind: engine, frontend or gateway.
        steps_in_flight: steps without a result.
        in_flight: ids of requests or calls that had not ended.
    """

    time_ns: EpochNs
    kind: str
    service: str
    host: str
    instance_id: str
    steps_in_flight: int
    in_flight: list[str]
    lost_records: int


class KernelUse(msgspec.Struct, frozen=True, kw_only=True):
    """All launches of one kernel.

    Attributes:
        total_s: its durations, summed.
        time_ratio: of the time of all kernels.
        mean_s, longest_s: of one launch.
    """

    name: str
    launches: int
    total_s: float
    time_ratio: float
    mean_s: float
    longest_s: float


def engines(client: "Client", window: Window) -> list[Throughput]:
    """Engines by throughput, most tokens first.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "engines", Throughput, **msgspec.structs.asdict(window))


def pressure(client: "Client", window: Window) -> list[Pressure]:
    """Queue depth and use of the KV cache, by engine instance.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "pressure", Pressure, **msgspec.structs.asdict(window))


def preemptions(client: "Client", window: Window) -> list[Preemption]:
    """Requests that lost their place, and what that cost, by service and model.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "preemptions", Preemption, **msgspec.structs.asdict(window))


def stages(client: "Client", window: Window) -> list[Stages]:
    """Where finished requests spent their time in the engine, by service and model.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "stages", Stages, **msgspec.structs.asdict(window))


def deaths(client: "Client", window: Window) -> list[ProcessDeath]:
    """Engines and gateways that died, and what was in flight, newest first.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "died", ProcessDeath, **msgspec.structs.asdict(window))


def kernels(client: "Client", window: Window) -> list[KernelUse]:
    """Kernels by the time they took, most first.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "top_kernels", KernelUse, **msgspec.structs.asdict(window))
