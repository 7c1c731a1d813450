"""`otel-llm up`: the embedded stack in one process."""

from typing import Annotated

import typer

from otel_llm.cli import options
from otel_llm.cli.extras import needs
from otel_llm.settings import load


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
    bind_host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Run ClickHouse and an OTLP receiver in one process, with the schema applied."""
    settings = load(
        config,
        data_dir=data_dir,
        clickhouse_port=clickhouse_port,
        otlp_http_port=otlp_http_port,
        bind_host=bind_host,
    )
    with needs("The embedded stack", "embedded"):
        from otel_llm.collector import run_stack
    run_stack(settings)
