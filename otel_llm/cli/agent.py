"""`otel-llm agent`: the node agent."""

from typing import Annotated

import typer

from otel_llm.cli import options
from otel_llm.cli.extras import needs
from otel_llm.settings import load


def agent(
    journal_dir: Annotated[str | None, typer.Option(help="Directory of the journals.")] = None,
    state_dir: Annotated[str | None, typer.Option(help="Checkpoint, spool and token.")] = None,
    host: Annotated[str | None, typer.Option(help="Address of the /metrics page.")] = None,
    port: Annotated[int | None, typer.Option(help="Its port; 0 picks a free one.")] = None,
    clickhouse_url: Annotated[
        str | None, typer.Option(help="Where rows go. Default: the running `up`.")
    ] = None,
    otlp_endpoint: Annotated[
        str | None, typer.Option(help="Where spans go. Default: the running `up`.")
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option(help="Data directory of the `up` to send to.")
    ] = None,
    devices: Annotated[
        list[str] | None,
        typer.Option(help="auto, nvml, rapl, estimate, replay:FILE or none; may be repeated."),
    ] = None,
    config: options.Config = None,
    as_json: options.Json = False,
) -> None:
    """Read the journals of this node, and send rows to ClickHouse and spans to OTLP.

    Serves /metrics (port 9464). Runs until it is told to stop; what it could not deliver by then
    waits on disk for the next one.
    """
    settings = load(
        config,
        journal_dir=journal_dir,
        state_dir=state_dir,
        agent_host=host,
        agent_port=port,
        clickhouse_url=clickhouse_url,
        otlp_endpoint=otlp_endpoint,
        data_dir=data_dir,
        devices=tuple(devices) if devices else None,
    )
    with needs("The agent", "agent"):
        from otel_llm.agent.run import run
    run(settings, as_json=as_json)
