"""`otel-llm requests`: what arrived lately, or what is in flight."""

import time
from typing import Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.store import store
from otel_llm.clock import EpochNs


def requests(
    in_flight: Annotated[
        bool, typer.Option("--open", help="What is in flight now, as the agent on this node knows.")
    ] = False,
    since: Annotated[str, typer.Option(help="How far back, for example 90s, 15m, 2h.")] = "15m",
    tenant: options.Tenant = "",
    model: Annotated[str, typer.Option(help="Calls to this model alone.")] = "",
    slow: Annotated[bool, typer.Option("--slow", help="Slowest first, not newest first.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most lines.")] = 20,
    as_json: options.Json = False,
    agent_url: Annotated[
        str | None, typer.Option(help="With --open: the agent's address, if not the settings'.")
    ] = None,
    url: options.Url = None,
    data_dir: options.DataDir = None,
) -> None:
    """List calls as their callers and engines saw them; say so if there are more."""
    if in_flight:
        from otel_llm.cli import in_flight as flight

        flight.show(tenant, model, limit, as_json, agent_url)
        return
    from otel_llm.query.recent import Filter, recent

    wanted = Filter(
        since_ns=EpochNs(max(0, time.time_ns() - options.age_ns("--since", since))),
        tenant=tenant,
        model=model,
        slow=slow,
        limit=limit + 1,  # one more than is shown tells whether there are more
    )
    with store(url, data_dir) as client:
        found = recent(client, wanted)
    listed, more = found[:limit], len(found) > limit
    if as_json:
        output.print_json({"listed": listed, "more": more})
        return
    if not listed:
        typer.echo("No calls arrived in that time.", err=True)
        output.next_step("a longer --since, requests --open, or: otel-llm doctor")
        return
    from otel_llm.cli.render.listing import calls_table

    screen = output.console()
    screen.print(calls_table(listed, screen.width, output.glyphs(screen)))
    if more:
        typer.echo(f"More than these {limit} arrived in that time: see --limit", err=True)
    output.next_step("otel-llm trace ID")
