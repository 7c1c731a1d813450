"""How long tables keep their rows: the schema's ages, changed by the setting `retention`."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from otel_llm.errors import SettingError, StoreError
from otel_llm.exporters.clickhouse.schema.cluster import LOCAL, quoted
from otel_llm.exporters.clickhouse.schema.statements import Lifetime, lifetimes

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_ENTRY = re.compile(r"(?P<table>\w+|\*)=(?:0|(?P<number>\d+)(?P<unit>[shd]))")
_UNITS_S = {"s": 1, "h": 3600, "d": 86_400}
_LONGEST_S = 100 * 365 * 86_400
_TTL = re.compile(r" TTL (.+?)(?= SETTINGS |$)")


def wanted(retention: Iterable[str]) -> tuple[Lifetime, ...]:
    """How long each table shall keep its rows.

    Args:
        retention: entries such as `llm_kernels=3d`, `otel_logs=36h`, `gpu_power=0` (for ever) or
            `*=90d` (all tables); the last one that names a table counts.

    Raises:
        SettingError: an entry is none, or names no table of the schema.
    """
    chosen = {lifetime.table: lifetime for lifetime in lifetimes()}
    for entry in retention:
        name, seconds = _parse(entry)
        if name != "*" and name not in chosen:
            raise SettingError("retention", f"there is no table {name}", "docs/schema.md lists all")
        for table in chosen if name == "*" else (name,):
            chosen[table] = chosen[table]._replace(seconds=seconds)
    return tuple(chosen.values())


def _parse(entry: str) -> tuple[str, int]:
    found = _ENTRY.fullmatch(entry.replace(" ", ""))
    seconds = int(found["number"]) * _UNITS_S[found["unit"]] if found and found["number"] else 0
    if found is None or seconds > _LONGEST_S:
        problem = f"{entry!r} does not say how long a table keeps its rows"
        raise SettingError("retention", problem, "Write TABLE=30d, TABLE=12h, TABLE=90s or TABLE=0")
    return found["table"], seconds


def outdated(
    client: "Client", lifetimes: Iterable[Lifetime], cluster: str = ""
) -> tuple[Lifetime, ...]:
    """Those whose table keeps its rows for another time, or is not there.

    Of a cluster, the server that the client talks to is asked.

    Raises:
        StoreError: the store cannot be asked.
    """
    sql = "SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()"
    try:
        rows: list[tuple[str, str]] = list(client.query(sql).result_rows)  # type: ignore[arg-type]
    except ClickHouseError as error:
        message = f"The tables of the store cannot be listed: {error}"
        raise StoreError(message) from error
    found = {name: _TTL.search(engine) for name, engine in rows}
    ages = {name: ttl[1] if ttl else "" for name, ttl in found.items()}
    return tuple(each for each in lifetimes if ages.get(_stored(each, cluster)) != each.ttl)


def alteration(lifetime: Lifetime, cluster: str = "") -> str:
    """The statement that sets how long a table keeps its rows."""
    where = f" ON CLUSTER {quoted(cluster)}" if cluster else ""
    what = f"MODIFY TTL {lifetime.ttl}" if lifetime.ttl else "REMOVE TTL"
    return f"ALTER TABLE {_stored(lifetime, cluster)}{where} {what}"


def apply_retention(
    client: "Client", retention: Iterable[str], cluster: str = ""
) -> tuple[Lifetime, ...]:
    """Let each table keep its rows as long as the setting says. The schema must be applied.

    Returns:
        The tables that were changed now.

    Raises:
        SettingError: as for `wanted`.
        StoreError: the store refused; the message names the table. Those before it are changed.
    """
    return tuple(_altered(client, outdated(client, wanted(retention), cluster), cluster))


def _altered(client: "Client", todo: Iterable[Lifetime], cluster: str) -> Iterator[Lifetime]:
    for lifetime in todo:
        try:
            client.command(alteration(lifetime, cluster))
        except ClickHouseError as error:
            message = (
                f"How long {lifetime.table} keeps its rows could not be set: {error} "
                "A running `otel-llm up` sets it itself: give `retention` to it, and restart it."
            )
            raise StoreError(message) from error
        yield lifetime


def _stored(lifetime: Lifetime, cluster: str) -> str:
    return lifetime.table + (LOCAL if cluster else "")
