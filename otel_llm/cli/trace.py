"""`otel-llm trace ID`: one journey, from the caller's call down to kernels."""

from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.store import store

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from otel_llm.cli.render.text import Glyphs
    from otel_llm.query.rows import Match

_MOST_LISTED = 20
_UNSHOWN = ("resource", "attributes", "linked_traces")


def trace(
    identity: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Trace, call, span, request, API request (cmpl-...) or response id, or the first "
            "characters of one.",
        ),
    ],
    tenant: options.Tenant = "",
    spans: Annotated[
        bool, typer.Option("--spans", help="The stored spans of its trace, not the facts.")
    ] = False,
    as_json: options.Json = False,
    ascii_only: Annotated[
        bool | None, typer.Option("--ascii/--unicode", help="Characters to draw with.")
    ] = None,
    url: options.Url = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show where one request's time went, from the caller's call down to kernels.

    It reads facts, so it answers for requests whose trace was not sampled too.
    """
    from otel_llm.query.identify import identify
    from otel_llm.query.journey import load

    with store(url, data_dir) as client:
        found = identify(client, identity, tenant)
        if spans:
            # Spans of others, which no fact speaks of, are found by their trace's id alone.
            unknown = [] if tenant else [identity]
            _show_spans(client, [match.trace_id for match in found] or unknown, as_json)
            return
        if len(found) != 1:
            raise _not_one(identity, found)
        journey = load(client, found[0], tenant)
    if as_json:
        output.print_json(journey)
        return
    from otel_llm.cli.render.page import journey_lines

    screen = output.console()
    for line in journey_lines(journey, screen.width, _glyphs(ascii_only)):
        screen.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)
    output.next_step("add --json for every number, or: otel-llm requests --slow")


def _show_spans(client: "Client", traces: list[str], as_json: bool) -> None:
    from otel_llm.query.spans import trace_spans

    stored = [span for trace in dict.fromkeys(traces) for span in trace_spans(client, trace)]
    if as_json:
        output.print_json(stored)
    elif not stored:
        message = "No span of that trace is stored. Facts may be: leave out --spans."
        raise output.failed(message)
    else:
        from otel_llm.cli.render.answer import answer_table

        screen = output.console()
        screen.print(answer_table(stored, _UNSHOWN, screen.width, output.glyphs(screen)))
        output.next_step("add --json for attributes")


def _glyphs(ascii_only: bool | None) -> "Glyphs":
    from otel_llm.cli.render.text import ASCII, UNICODE

    if ascii_only is None:
        return output.glyphs(output.console())
    return ASCII if ascii_only else UNICODE


def _not_one(identity: str, found: "list[Match]") -> typer.Exit:
    """Nothing, or too much, carries the id."""
    from otel_llm.query.identify import MIN_PREFIX

    if len(identity) < MIN_PREFIX:
        return output.failed(f"{identity!r} is too short: give at least {MIN_PREFIX} characters.")
    if not found:
        return output.failed(
            f"Nothing carries the id {identity!r}. A call in flight has no row yet "
            "(otel-llm requests --open), and rows come some seconds after its end."
        )
    from otel_llm.query.times import iso

    lines = [f"  {_key(match, found)}  {iso(match.time_ns)}" for match in found]
    if len(lines) > _MOST_LISTED:
        lines[_MOST_LISTED:] = [f"  and {len(lines) - _MOST_LISTED} more"]
    head = f"{identity!r} names {len(found)} calls. Choose one:"
    return output.failed("\n".join([head, *lines]))


def _key(match: "Match", found: "list[Match]") -> str:
    """An id that names this match alone. Direct requests may share one, so their trace tells."""
    if match.call_id:
        return match.call_id
    shared = sum(other.value == match.value for other in found) > 1
    return match.trace_id if shared and match.trace_id else match.value
