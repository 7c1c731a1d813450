"""Who shared steps with some requests. Two questions: a cluster keeps the two tables apart."""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from otel_llm.query.statements import ask

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class Neighbours(msgspec.Struct, frozen=True, kw_only=True):
    """Other requests that shared a batch: how many, of which tenant.

    Attributes:
        tenant: the tenant; empty for requests without a row: they have not ended, or began over
            two hours before. None where a tenant asks: it learns the number alone.
        requests: how many requests.
    """

    tenant: str | None
    requests: int


class _Member(msgspec.Struct, frozen=True, kw_only=True):
    request_index: int


class _Owner(msgspec.Struct, frozen=True, kw_only=True):
    request_index: int
    tenant: str


def neighbours(client: "Client", which: Mapping[str, object], tenant: str) -> list[Neighbours]:
    """Count the others by tenant, most first.

    Args:
        client: the store.
        which: parameters of `sql/members.sql`: some requests of one engine instance.
        tenant: who asks; empty for an operator.

    Raises:
        StoreError: the store refused a question.
    """
    members = [row.request_index for row in ask(client, "members", _Member, **which)]
    if not members:
        return []
    bounds = {"first": min(members), "last": max(members)}
    rows = ask(client, "owners", _Owner, **which, **bounds)
    owners = {row.request_index: row.tenant for row in rows}
    counts = Counter(None if tenant else owners.get(member, "") for member in members)
    ordered = sorted(counts.items(), key=lambda count: (-count[1], count[0] or ""))
    return [Neighbours(tenant=owner, requests=number) for owner, number in ordered]
