"""Questions about days and months, answered from the one-minute rollups.

The rollups are kept longer than the facts (`retention`). Reading them takes time with their rows:
each has states of quantiles to merge. They know whole minutes, by when a call or request ended. The
minute in which a window begins is taken as a whole, and the one in which it ends as well.
"""

from typing import TYPE_CHECKING

import msgspec

from otel_llm.clock import EpochNs
from otel_llm.query.statements import ask
from otel_llm.query.window import Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


MINUTE_NS = 60 * 10**9


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of a tenant to a model, as gateways saw them. Table `llm_gateway_calls_1m`.

    Attributes:
        start_ns: when the stretch of time begins.
        failed: calls that failed, those of a gateway that died included.
        ttft_p50_s: TTFT_caller in seconds; None if no call had content.
    """

    start_ns: EpochNs
    model: str
    tenant: str
    calls: int
    finished: int
    failed: int
    shed: int
    cancelled: int
    attempts: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    e2e_p50_s: float | None
    e2e_p95_s: float | None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant's requests to a model took of the engines. Table `llm_requests_1m`.

    Attributes:
        start_ns: when the stretch of time begins.
        incomplete: requests of which a record was lost.
        energy_j: joules charged to them.
        ttft_p50_s: TTFT_engine in seconds; None if no request had output.
        tpot_p50_s: mean seconds per token after the first; None if no request had two.
    """

    start_ns: EpochNs
    model: str
    tenant: str
    requests: int
    incomplete: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    recomputed_tokens: int
    preemptions: int
    energy_j: float
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    tpot_p50_s: float | None
    tpot_p95_s: float | None


def traffic(client: "Client", window: Window) -> list[Traffic]:
    """Calls by model and tenant, most first.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "traffic", Traffic, **msgspec.structs.asdict(window))


def usage(client: "Client", window: Window) -> list[Usage]:
    """What requests took, by model and tenant, most tokens first.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "usage", Usage, **msgspec.structs.asdict(window))
