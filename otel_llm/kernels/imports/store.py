"""Brings an import into the store, once.

Each block carries a token made of the file's content and its place, so that an import that was
broken off and is started again stores no block twice. A row of `llm_engine_events` says when it is
whole.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from otel_llm.clock import EpochNs
from otel_llm.errors import ProfileError
from otel_llm.exporters.clickhouse.rows import encode_blocks
from otel_llm.exporters.clickhouse.writer import insert_arrow_block
from otel_llm.facts.joined import Joined
from otel_llm.kernels.imports.facts import Import
from otel_llm.query.statements import ask

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from otel_llm.exporters.clickhouse.schema import Lifetime

KERNELS_PER_BLOCK = 100_000
SUMS_PER_BLOCK = 2_000


class Before(msgspec.Struct, frozen=True):
    """What the store knows of an earlier import of a file.

    Attributes:
        event: `importing` or `imported`.
        service: under which service.
        time_ns: its first kernel, in wall nanoseconds.
        offset_ns: what makes wall time of the file's times.
    """

    event: str
    service: str
    time_ns: EpochNs
    offset_ns: int


def earlier(client: "Client", instance_id: str) -> Before | None:
    """The earlier import of a file; one that was finished before one that was only begun.

    Raises:
        StoreError: the store refused the question.
    """
    found = ask(client, "imports", Before, instance=instance_id)
    return min(found, key=lambda one: one.event != "imported", default=None)


def check_age(start_ns: int, lifetimes: "tuple[Lifetime, ...]", now_ns: int) -> None:
    """Refuse what the store would drop at once.

    Raises:
        ProfileError: the first kernel is older than a table of kernels keeps its rows.
    """
    for lifetime in lifetimes:
        old = lifetime.seconds and start_ns < now_ns - lifetime.seconds * 1_000_000_000
        if lifetime.table == "llm_kernels" and old:
            days = (now_ns - start_ns) / 86_400e9
            message = (
                f"This profile is {days:.0f} days old and llm_kernels keeps rows "
                f"{lifetime.seconds / 86_400:g} days: the store would drop it. "
                "Give it another time with --at now, or change the setting retention."
            )
            raise ProfileError(message)


def write(client: "Client", ours: Import) -> dict[str, int]:
    """Store everything.

    Returns:
        Rows sent, by table.

    Raises:
        StoreError: the store refused a block or cannot be reached.
    """
    rows: dict[str, int] = {}
    instance = ours.event("importing").producer.instance_id
    for number, facts in enumerate(_batches(ours)):
        for block in encode_blocks(facts):
            token = f"{instance}-{number}-{block.table.name}"
            insert_arrow_block(client, block.table.name, block.body, token)
            rows[block.table.name] = rows.get(block.table.name, 0) + block.rows
    return rows


def _batches(ours: Import) -> Iterator[list[Joined]]:
    yield [ours.event("importing")]
    sums = ours.sums()
    for begin in range(0, len(sums), SUMS_PER_BLOCK):
        yield sums[begin : begin + SUMS_PER_BLOCK]
    batch: list[Joined] = []
    held = 0
    for fact in ours.one_by_one():
        batch.append(fact)
        held += len(fact.kernels.name_index)
        if held >= KERNELS_PER_BLOCK:
            yield batch
            batch, held = [], 0
    yield batch
    yield [ours.event("imported")]
