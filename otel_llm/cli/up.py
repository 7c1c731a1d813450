"""`otel-llm up`: the embedded stack in one process."""

from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.extras import needs
from otel_llm.settings import load

if TYPE_CHECKING:
    from otel_llm.runfile import RunFile


def up(
    data_dir: Annotated[
        str | None, typer.Option(help="Where everything is kept; one `up` each.")
    ] = None,
    clickhouse_port: Annotated[
        int | None, typer.Option(help="Port of the ClickHouse HTTP interface; 0 picks one.")
    ] = None,
    otlp_http_port: Annotated[
        int | None, typer.Option(help="Port of the OTLP/HTTP receiver; 0 picks one.")
    ] = None,
    otlp_grpc_port: Annotated[
        int | None, typer.Option(help="Port of the OTLP/gRPC receiver; 0 picks one.")
    ] = None,
    bind_host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Run ClickHouse and OTLP receivers in one process, with the schema applied."""
    settings = load(
        config,
        data_dir=data_dir,
        clickhouse_port=clickhouse_port,
        otlp_http_port=otlp_http_port,
        otlp_grpc_port=otlp_grpc_port,
        bind_host=bind_host,
    )
    with needs("The embedded stack", "embedded"):
        from otel_llm.collector.stack import run_stack
    run_stack(settings, lambda run: _say_ready(run, as_json))


def _say_ready(run: "RunFile", as_json: bool) -> None:
    if as_json:
        output.print_json({"ready": True, **run._asdict()})
        return
    typer.echo(f"ClickHouse  {run.clickhouse_url}  user otel_llm, token in {run.token_file}")
    typer.echo(f"OTLP/HTTP   {run.otlp_url}")
    typer.echo(f"OTLP/gRPC   {run.otlp_grpc_url}")
    output.next_step("otel-llm agent, then: otel-llm run -- COMMAND")
