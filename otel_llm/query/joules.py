"""What requests were charged, on the devices of all nodes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from otel_llm.query.rows import Joules
from otel_llm.query.statements import ask

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_EVER = (1 << 63) - 1


class Charged(msgspec.Struct, frozen=True, kw_only=True):
    """What requests that ended in a stretch of time were charged, by group.

    Attributes:
        start_ns: the stretch, in wall nanoseconds.
        tenant, model, service: of the group, where they are asked for.
        prefill_mj, decode_mj, error_mj: in millijoules.
        device_ns: device time, in nanoseconds.
        incomplete: amounts about which facts were lost.
        instances: engines of theirs with workers on several nodes.
    """

    start_ns: int
    tenant: str
    model: str
    service: str
    prefill_mj: int
    decode_mj: int
    error_mj: int
    device_ns: int
    incomplete: int
    instances: list[str]

    @property
    def group(self) -> tuple[str, str, str]:
        """Tenant, model and service."""
        return self.tenant, self.model, self.service


class Elsewhere(Charged, frozen=True, kw_only=True):
    """Energy of steps on devices of other nodes than their engines', as their members share it.

    Attributes:
        instance_id, request_index: the request, where it is asked for by `request`.
        devices: how many.
        methods, sources: how they were metered, and who read them.
    """

    instance_id: str
    request_index: int
    devices: int
    methods: list[str]
    sources: list[str]


class _Ranks(msgspec.Struct, frozen=True):
    instance_id: str
    ranks: int


class _Missed(msgspec.Struct, frozen=True):
    instance_id: str
    ranks: int
    devices: int


def elsewhere(
    client: "Client",
    by: Sequence[str],
    *,
    traces: Sequence[str] = (),
    since_ns: int = 0,
    until_ns: int = _EVER,
    every_ns: int = 0,
    tenant: str = "",
    model: str = "",
    service: str = "",
) -> list[Elsewhere]:
    """What requests are charged for steps on devices of other nodes.

    Args:
        client: of the store.
        by: `request`, `tenant`, `model` and `service`, as many as wanted.
        traces: of these alone; of all if empty.
        since_ns: of requests that ended in the time, in wall nanoseconds.
        until_ns: its end.
        every_ns: length of the stretches that are told apart, in nanoseconds; 0 for one stretch.
        tenant: this one alone, unless empty; `model` and `service` likewise.
        model: see `tenant`.
        service: see `tenant`.

    Raises:
        StoreError: the store refused a question.
    """
    return ask(
        client, "energy_elsewhere", Elsewhere, by=list(by), traces=list(traces),
        since_ns=since_ns, until_ns=until_ns, every_ns=every_ns, tenant=tenant, model=model,
        service=service, limit=_EVER,
    )  # fmt: skip


def missed(client: "Client", used: Sequence[Charged], since_ns: int, until_ns: int) -> set[str]:
    """Engines with devices that nobody told the energy of: what their requests took is more.

    Args:
        client: of the store.
        used: what requests are charged, on all nodes.
        since_ns: in this time, in wall nanoseconds.
        until_ns: its end.

    Raises:
        StoreError: the store refused the question.
    """
    instances = sorted({name for one in used for name in one.instances})
    if not instances:
        return set()
    found = ask(client, "energy_missed", _Missed, instances=instances, since_ns=since_ns,
                until_ns=until_ns)  # fmt: skip
    return {one.instance_id for one in found}


def joules(client: "Client", traces: Sequence[str]) -> list[Joules]:
    """What the requests of some traces were charged, one for each that was charged anything.

    Raises:
        StoreError: the store refused a question.
    """
    if not traces:
        return []
    here = {
        (one.instance_id, one.request_index): one
        for one in ask(client, "request_joules", Joules, traces=list(traces))
    }
    others = elsewhere(client, ["request"], traces=traces)
    instances = sorted({one.instance_id for one in others})
    ranks = {
        one.instance_id: one.ranks
        for one in (ask(client, "engine_ranks", _Ranks, instances=instances) if others else ())
    }
    for other in others:
        key = (other.instance_id, other.request_index)
        here[key] = _together(here.get(key), other, ranks.get(other.instance_id, 0))
    return [here[key] for key in sorted(here)]


def _together(here: Joules | None, other: Elsewhere, ranks: int) -> Joules:
    prefill, decode = other.prefill_mj / 1e3, other.decode_mj / 1e3
    devices = other.devices + (here.devices if here else 0)
    return Joules(
        instance_id=other.instance_id,
        request_index=other.request_index,
        energy_j=prefill + decode + (here.energy_j if here else 0.0),
        prefill_j=prefill + (here.prefill_j if here else 0.0),
        decode_j=decode + (here.decode_j if here else 0.0),
        error_j=other.error_mj / 1e3 + (here.error_j if here else 0.0),
        methods=sorted({*other.methods, *(here.methods if here else ())}),
        sharings=here.sharings if here else ["busy"],
        sources=sorted({*other.sources, *(here.sources if here else ())}),
        scope="all" if 0 < ranks <= devices else "local",
        devices=devices,
        incomplete=bool(other.incomplete) or bool(here and here.incomplete),
    )
