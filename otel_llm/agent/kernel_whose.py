"""Whose kernels a ring holds, from what its worker said; none of it is trusted."""

from collections import Counter
from collections.abc import Sequence

from otel_llm.agent.hygiene import clean_producer
from otel_llm.facts import Producer
from otel_llm.kernels.reader import KernelProducer
from otel_llm.kernels.whose import Whose

UNKNOWN = "unknown"
"""Service of kernels whose worker said nothing of itself."""
_MAX_DEVICE = 64
_HEX = frozenset("0123456789abcdef")


def engine_of(ring: KernelProducer, whose: Whose, breaches: Counter[str]) -> Producer:
    """The engine whose kernels they are; a stand-in with the ring's own id where nobody said.

    Args:
        ring: who writes the ring.
        whose: what the worker said.
        breaches: counts texts that were cut.
    """
    known = len(whose.engine) == 32 and _HEX.issuperset(whose.engine)
    producer = Producer(
        kind="engine", instance_id=whose.engine if known else ring.instance_id,
        boot_id=ring.boot_id, time_namespace=ring.time_namespace,
        service=whose.service or UNKNOWN, host=ring.host, engine=whose.software,
        engine_version=whose.version, model=whose.model, dp_rank=whose.dp_rank,
    )  # fmt: skip
    return clean_producer(producer, breaches)


def device_names(whose: Whose, numbers: Sequence[int]) -> list[str]:
    """Names of a process's devices: the worker's own by UUID, others by number."""
    mine = whose.device[:_MAX_DEVICE]
    return [mine if mine and one == whose.device_number else f"cuda:{one}" for one in numbers]
