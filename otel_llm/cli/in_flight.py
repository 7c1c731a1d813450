"""`otel-llm requests --open`: what is in flight, as the agent on this node knows it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import typer

from otel_llm.cli import agent_page, output
from otel_llm.cli.agent_page import InFlight, OpenCall, OpenRequest
from otel_llm.cli.render.text import Glyphs, clean, seconds
from otel_llm.settings import load

if TYPE_CHECKING:
    from rich.table import Table


def show(tenant: str, model: str, limit: int, as_json: bool, agent_url: str | None) -> None:
    """Print what is in flight, oldest first."""
    wanted = only(agent_page.in_flight(load(), agent_url), tenant, model)
    if as_json:
        output.print_json(wanted)
        return
    if not wanted.calls and not wanted.requests:
        typer.echo("Nothing is in flight.", err=True)
        output.next_step("otel-llm requests")
        return
    screen = output.console()
    screen.print(open_table(wanted, limit, output.glyphs(screen)))
    output.next_step("otel-llm trace ID, some seconds after it ended")


def only(answer: InFlight, tenant: str, model: str) -> InFlight:
    """Keep a tenant's, a model's. A call names no model: its requests say whether it stays."""
    requests = [
        one for one in answer.requests if tenant in ("", one.tenant) and model in ("", one.model)
    ]
    traces = {one.trace_id for one in requests}
    calls = [
        call
        for call in answer.calls
        if tenant in ("", call.tenant) and (not model or call.trace_id in traces)
    ]
    everything = not tenant and not model
    return InFlight(
        requests_open=answer.requests_open if everything else len(requests),
        calls_open=answer.calls_open if everything else len(calls),
        requests=requests,
        calls=calls,
    )


def pairs(answer: InFlight) -> Iterator[tuple[OpenCall | None, OpenRequest | None]]:
    """Calls with their requests, by trace; a call without one has not reached an engine."""
    of_trace: dict[str, list[OpenRequest]] = defaultdict(list)
    for request in answer.requests:
        of_trace[request.trace_id].append(request)
    for call in answer.calls:
        served = of_trace.pop(call.trace_id, [])
        yield from ((call, request) for request in served)
        if not served:
            yield call, None
    for direct in of_trace.values():
        yield from ((None, request) for request in direct)


def open_table(answer: InFlight, limit: int, glyphs: Glyphs) -> "Table":
    """A table of what is in flight."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in ("age", "where", "engine", "tenant", "prompt", "output", "trace"):
        numeric = title in ("age", "prompt", "output")
        justify: Literal["left", "right"] = "right" if numeric else "left"
        table.add_column(title, justify=justify, no_wrap=True, overflow="crop")
    rows = sorted(pairs(answer), key=lambda pair: -_age_s(*pair))
    for call, request in rows[:limit]:
        table.add_row(*(clean(cell, glyphs) for cell in _cells(call, request, glyphs)))
    hidden = answer.requests_open - len(answer.requests) + max(0, len(rows) - limit)
    table.caption = f"and {hidden:,} more" if hidden > 0 else None
    table.caption_justify = "left"
    return table


def _age_s(call: OpenCall | None, request: OpenRequest | None) -> float:
    return call.age_s if call else request.age_s if request else 0.0


def _cells(call: OpenCall | None, request: OpenRequest | None, glyphs: Glyphs) -> list[str]:
    prompt = request.prompt_tokens if request else None
    return [
        seconds(_age_s(call, request), glyphs),
        request.phase if request else "gateway",
        request.service if request else "-",
        call.tenant if call else request.tenant if request else "",
        "-" if prompt is None else f"{prompt:,}",
        f"{request.output_tokens:,}" if request else "-",
        call.trace_id if call else request.trace_id if request else "",
    ]
