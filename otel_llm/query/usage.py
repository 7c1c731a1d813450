"""Who used the engines, and how much of it a cache saved. Each function is one statement."""

from typing import TYPE_CHECKING

import msgspec

from otel_llm.clock import EpochNs
from otel_llm.query.statements import ask
from otel_llm.query.window import Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class TenantUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant's requests took, as the engines counted it.

    Attributes:
        start_ns: when the stretch of time begins.
        prompt_tokens: of every sample's prompt, tokens from the cache included.
        recomputed_tokens: computed again after preemptions.
        token_ratio: prompt and output tokens, of those of all tenants in the stretch.
    """

    start_ns: EpochNs
    tenant: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    recomputed_tokens: int
    token_ratio: float


class CacheUse(msgspec.Struct, frozen=True, kw_only=True):
    """What the prefix cache saved.

    Attributes:
        start_ns: when the stretch of time begins.
        hits: requests with any token from the cache.
        hit_ratio: tokens from the cache, of the prompts'; None without prompts.
    """

    start_ns: EpochNs
    model: str
    tenant: str
    requests: int
    hits: int
    prompt_tokens: int
    cached_tokens: int
    hit_ratio: float | None


def tenants(client: "Client", window: Window) -> list[TenantUse]:
    """Tenants by tokens, most first.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "tenants", TenantUse, **msgspec.structs.asdict(window))


def cache(client: "Client", window: Window) -> list[CacheUse]:
    """What part of prompts came from the prefix cache, by model and tenant.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(client, "cache", CacheUse, **msgspec.structs.asdict(window))
