"""`otel-llm dashboards`: Grafana's boards, made from the names in use."""

from pathlib import Path
from typing import Annotated

import typer

from otel_llm.cli import output
from otel_llm.cli.extras import needs

app = typer.Typer(help="Build or check Grafana's boards.", no_args_is_help=True)

_Directory = Annotated[
    Path | None, typer.Option("--dir", help="Where the boards are. Default: those installed here.")
]


@app.command("build")
def build(directory: _Directory = None) -> None:
    """Write one JSON file per board, for Grafana's file provisioning."""
    with needs("Building boards", "dashboards"):
        from otel_llm.dashboards import build as boards
    chosen = directory or boards.GENERATED
    for name in boards.write(chosen):
        typer.echo(f"wrote {chosen / name}")
    output.next_step("deploy/grafana/README.md")


@app.command("check")
def check(directory: _Directory = None) -> None:
    """Exit with 1 unless the boards are what the code says."""
    with needs("Checking boards", "dashboards"):
        from otel_llm.dashboards import build as boards
    stale = boards.different(directory or boards.GENERATED)
    for name in stale:
        typer.echo(f"{name} differs", err=True)
    if stale:
        output.next_step("otel-llm dashboards build")
        raise typer.Exit(1)
    typer.echo("The boards are up to date.")
