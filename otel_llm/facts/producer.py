"""Who writes facts: one engine instance or one gateway process."""

from typing import Literal

import msgspec


class Producer(msgspec.Struct, frozen=True):
    """The identity that every fact of one journal shares. It stands in the journal's header.

    Attributes:
        kind: which layer writes.
        instance_id: 32 hex digits, random per journal. Never derived from a pid.
        boot_id: the kernel's boot id; monotonic stamps compare only within one boot.
        time_namespace: inode of the writer's time namespace; likewise.
        service: name of the deployment, as in `service.name`.
        host: host name.
        engine: engine or gateway software, for example `vllm`.
        engine_version: its version.
        model: served model, empty for a gateway.
        dp_rank: data-parallel rank, from 0.
    """

    kind: Literal["engine", "gateway"]
    instance_id: str
    boot_id: str
    time_namespace: int
    service: str
    host: str
    engine: str
    engine_version: str
    model: str = ""
    dp_rank: int = 0
