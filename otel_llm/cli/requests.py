"""`otel-llm requests`: what arrived lately, or what is in flight."""

import re
import time
from typing import Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.store import store
from otel_llm.clock import EpochNs

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _age_s(text: str) -> int:
    """Seconds of an age such as 90s, 15m, 2h or 7d."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if match is None:
        message = f"{text!r} is no age: write for example 90s, 15m, 2h or 7d."
        raise typer.BadParameter(message, param_hint="--since")
    return int(match[1]) * _UNITS[match[2]]


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
    """List calls as their callers and engines saw them."""
    if in_flight:
        from otel_llm.cli import in_flight as flight

        flight.show(tenant, model, limit, as_json, agent_url)
        return
    from otel_llm.query.recent import Filter, recent

    wanted = Filter(
        since_ns=EpochNs(max(0, time.time_ns() - _age_s(since) * 1_000_000_000)),
        tenant=tenant,
        model=model,
        slow=slow,
        limit=limit,
    )
    with store(url, data_dir) as client:
        listed = recent(client, wanted)
    if as_json:
        output.print_json(listed)
        return
    if not listed:
        typer.echo("No calls arrived in that time.", err=True)
        output.next_step("a longer --since, requests --open, or: otel-llm doctor")
        return
    from otel_llm.cli.render.listing import calls_table

    screen = output.console()
    screen.print(calls_table(listed, screen.width, output.glyphs(screen)))
    output.next_step("otel-llm trace ID")
