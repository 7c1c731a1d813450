"""`otel-llm up`: the embedded stack in one process."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options
from otel_llm.cli.extras import needs
from otel_llm.settings import load

if TYPE_CHECKING:
    from otel_llm.collector.runfile import RunFile


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
        from otel_llm.collector.stack import run_stack
    run_stack(settings, _say_ready_as_json if as_json else None)


def _say_ready_as_json(run: "RunFile") -> None:
    urls = {"clickhouse_url": run.clickhouse_url, "otlp_url": run.otlp_url}
    print(json.dumps({"ready": True, **urls}), flush=True)  # noqa: T201
