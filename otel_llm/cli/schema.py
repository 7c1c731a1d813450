"""`otel-llm schema`: the store's tables."""

import typer

from otel_llm.cli import options, output
from otel_llm.cli.extras import needs
from otel_llm.cli.store import store

app = typer.Typer(help="Apply, print or check the store's tables.", no_args_is_help=True)


@app.command("apply")
def apply_schema(
    as_json: options.Json = False, url: options.Url = None, data_dir: options.DataDir = None
) -> None:
    """Bring the store's tables up to date."""
    with needs("The schema", "store"):
        from otel_llm.exporters.clickhouse import schema
    with store(url, data_dir) as client:
        done = [statement.name for statement in schema.apply(client)]
    if as_json:
        output.print_json({"applied": done})
        return
    for name in done:
        typer.echo(f"applied {name}")
    typer.echo("The schema is up to date.")
    output.next_step("otel-llm agent, then: otel-llm run -- COMMAND")


@app.command("print")
def print_schema() -> None:
    """Print all statements, for review or for another client."""
    with needs("The schema", "store"):
        from otel_llm.exporters.clickhouse import schema
    for statement in schema.statements():
        typer.echo(f"-- {statement.name}\n{statement.sql.strip().rstrip(';')};\n")


@app.command("check")
def check_schema(
    as_json: options.Json = False, url: options.Url = None, data_dir: options.DataDir = None
) -> None:
    """Exit with 1 unless the store's tables are up to date."""
    with needs("The schema", "store"):
        from otel_llm.exporters.clickhouse import schema
    with store(url, data_dir) as client:
        missing = [statement.name for statement in schema.pending(client)]
    if as_json:
        output.print_json({"current": not missing, "pending": missing})
    elif missing:
        typer.echo(f"Not applied: {', '.join(missing)}")
        output.next_step("otel-llm schema apply")
    else:
        typer.echo("The schema is up to date.")
    if missing:
        raise typer.Exit(1)
