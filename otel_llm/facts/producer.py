"""Who writes facts: one engine instance or one gateway process."""

from typing import Literal

import msgspec

from otel_llm.facts.identity import Identity
from otel_llm.facts.shape import ServedShape

ProducerKind = Literal["engine", "frontend", "gateway", "worker"]


class Producer(msgspec.Struct, frozen=True):
    """The identity that every fact of one journal shares. It stands in the journal's header.

    Attributes:
        kind: which layer writes. `frontend` is an engine's API server with its own half of each
            request, in the core's process or in another; `worker` one of its workers, which tells
            of its device.
        instance_id: 32 hex digits, random per journal. Never derived from a pid.
        boot_id: the kernel's boot id; monotonic stamps compare only within one boot.
        time_namespace: inode of the writer's time namespace; likewise.
        service: name of the deployment, as in `service.name`.
        host: host name.
        engine: engine or gateway software, for example `vllm`.
        engine_version: its version.
        model: served model, empty for a gateway.
        dp_rank: data-parallel rank, from 0.
        left_out: hooks that could not be put in place, as `name: reason`.
        identity: where the process runs.
        devices: UUIDs of an engine's devices on this node, one per rank that told, in order of
            rank; two ranks on one device name it twice.
        ranks: workers that the engine has on devices, on all nodes; 0 if it has none there or
            does not know. More than `devices` names: some are on other nodes, or did not tell.
        shape: of the served model; None if not told.
    """

    kind: ProducerKind
    instance_id: str
    boot_id: str
    time_namespace: int
    service: str
    host: str
    engine: str
    engine_version: str
    model: str = ""
    dp_rank: int = 0
    left_out: list[str] = []
    identity: Identity = Identity()
    devices: list[str] = []
    ranks: int = 0
    shape: ServedShape | None = None
