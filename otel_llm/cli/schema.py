"""`otel-llm schema`: the store's tables, and how long they keep their rows."""

from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.extras import needs
from otel_llm.cli.store import store
from otel_llm.settings import load

if TYPE_CHECKING:
    from otel_llm.exporters.clickhouse.schema import Difference, Lifetime

app = typer.Typer(help="Apply, print or check the store's tables.", no_args_is_help=True)

Cluster = Annotated[
    str | None,
    typer.Option(help="Cluster of servers, as they name it: replicated and distributed tables."),
]
_DAY_S = 86_400


@app.command("apply")
def apply_schema(
    as_json: options.Json = False,
    cluster: Cluster = None,
    url: options.Url = None,
    data_dir: options.DataDir = None,
) -> None:
    """Bring the store's tables, and how long they keep their rows, up to date."""
    settings = load(clickhouse_cluster=cluster)
    with needs("The schema", "store"):
        from otel_llm.exporters.clickhouse import schema
    with store(url, data_dir) as client:
        done = [each.name for each in schema.apply(client, settings.clickhouse_cluster)]
        kept = schema.apply_retention(client, settings.retention, settings.clickhouse_cluster)
    if as_json:
        output.print_json({"applied": done, "retention_s": _seconds(kept)})
        return
    for name in done:
        typer.echo(f"applied {name}")
    for lifetime in kept:
        typer.echo(f"{lifetime.table} keeps rows {_age(lifetime.seconds)}")
    typer.echo("The schema is up to date.")
    output.next_step("otel-llm agent, then: otel-llm run -- COMMAND")


@app.command("print")
def print_schema(cluster: Cluster = None) -> None:
    """Print all statements, for review or for another client."""
    settings = load(clickhouse_cluster=cluster)
    cluster, database = settings.clickhouse_cluster, settings.clickhouse_database
    with needs("The schema", "store"):
        from otel_llm.exporters.clickhouse import schema
    for statement in schema.statements():
        for sql in schema.rendered(statement, cluster, database):
            typer.echo(f"-- {statement.name}\n{sql.strip()};\n")
    for lifetime in schema.wanted(settings.retention):
        if lifetime.seconds:
            typer.echo(f"{schema.alteration(lifetime, cluster)};")


@app.command("check")
def check_schema(
    as_json: options.Json = False,
    cluster: Cluster = None,
    url: options.Url = None,
    data_dir: options.DataDir = None,
) -> None:
    """Exit with 1 unless the store's tables, and how long they keep rows, are up to date."""
    settings = load(clickhouse_cluster=cluster)
    with needs("The schema", "store"):
        from otel_llm.exporters.clickhouse import schema
    wanted = schema.wanted(settings.retention)
    with store(url, data_dir) as client:
        pending = schema.pending(client, settings.clickhouse_cluster)
        different = schema.differences(client, settings.clickhouse_cluster, pending)
        outdated = schema.outdated(client, wanted, settings.clickhouse_cluster)
    missing = [each.name for each in pending]
    if as_json:
        output.print_json(
            {
                "current": not (missing or different or outdated),
                "pending": missing,
                "different": {each.table: each.clauses for each in different},
                "retention_s": _seconds(wanted),
                "retention_pending": [lifetime.table for lifetime in outdated],
            }
        )
    else:
        _print_check(missing, different, wanted, outdated)
    if missing or different or outdated:
        raise typer.Exit(1)


def _print_check(
    missing: list[str],
    different: "tuple[Difference, ...]",
    wanted: "tuple[Lifetime, ...]",
    outdated: "tuple[Lifetime, ...]",
) -> None:
    for lifetime in wanted:
        note = "  not applied" if lifetime in outdated else ""
        typer.echo(f"{lifetime.table:<28} keeps rows {_age(lifetime.seconds)}{note}")
    if missing:
        typer.echo(f"Not applied: {', '.join(missing)}")
    for each in different:
        typer.echo(f"Differs: {each}")
    if any(each.problems for each in different):
        output.next_step('docs/schema.md, "When a table differs"')
    elif missing or different or outdated:
        output.next_step("otel-llm schema apply")
    else:
        typer.echo("The schema is up to date.")


def _seconds(lifetimes: "tuple[Lifetime, ...]") -> dict[str, int]:
    return {lifetime.table: lifetime.seconds for lifetime in lifetimes}


def _age(seconds: int) -> str:
    if not seconds:
        return "for ever"
    days, rest = divmod(seconds, _DAY_S)
    return f"{seconds} s" if rest else f"{days} days"
