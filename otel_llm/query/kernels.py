"""What kernels took, over a window of time. One statement."""

from typing import TYPE_CHECKING, Literal

import msgspec

from otel_llm.query.statements import ask
from otel_llm.query.window import Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class KernelShare(msgspec.Struct, frozen=True, kw_only=True):
    """Kernels of one engine that share a class, or a class and a name.

    Attributes:
        source: who measured: cpu, cupti, kineto or nsys.
        kind: the class.
        kernel: the name; empty for a whole class.
        total_s: durations, summed.
        time_ratio: of the time of all kernels of this engine and source that were asked for.
        mean_s, shortest_s, longest_s: of one launch.
    """

    service: str
    engine: str
    source: str
    kind: str
    kernel: str
    launches: int
    total_s: float
    time_ratio: float
    mean_s: float
    shortest_s: float
    longest_s: float


def kernel_time(
    client: "Client", window: Window, by: Literal["class", "name"], of_class: str = ""
) -> list[KernelShare]:
    """Time of kernels by class or name, per engine.

    Args:
        client: the store.
        window: ten seconds belong to it if they begin in it.
        by: what is summed up.
        of_class: this class alone; empty for all.

    Raises:
        StoreError: the store refused the question.
    """
    asked = {**msgspec.structs.asdict(window), "by": by, "of_class": of_class}
    return ask(client, "kernel_time", KernelShare, **asked)
