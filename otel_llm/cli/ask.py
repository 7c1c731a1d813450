"""`otel-llm ask NAME`: questions about a window of time."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.store import store
from otel_llm.clock import EpochNs

if TYPE_CHECKING:
    from otel_llm.query.catalogue import Answer, Question

_AN_AGE = "for example 90s, 15m, 2h or 7d"


def ask(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Leave it out for a list.")] = "",
    since: Annotated[str, typer.Option(help=f"How far back, {_AN_AGE}.")] = "15m",
    until: Annotated[str, typer.Option(help="Until how long ago, in the same way.")] = "0s",
    every: Annotated[str, typer.Option(help="Cut the time into stretches of this length.")] = "",
    service: Annotated[str, typer.Option(help="This engine service alone.")] = "",
    tenant: Annotated[str, typer.Option(help="This tenant alone.")] = "",
    model: Annotated[str, typer.Option(help="This model alone.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most lines.")] = 1000,
    ttft: Annotated[float, typer.Option(min=0, help="slo: longest TTFT_caller, in s.")] = 0.0,
    itl: Annotated[float, typer.Option(min=0, help="slo: longest mean wait per chunk, in s.")] = 0,
    duration: Annotated[float, typer.Option(min=0, help="slo: longest call, in s.")] = 0.0,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
) -> None:
    """Answer a question about the last minutes, hours or days."""
    from otel_llm.query.catalogue import questions
    from otel_llm.query.service import Objective
    from otel_llm.query.window import Window

    known = questions(Objective(ttft_s=ttft, itl_s=itl, e2e_s=duration))
    if not name:
        _list(known)
        return
    question = _named(name, known)
    cuts = {"service": service, "tenant": tenant, "model": model}
    _check_parts(name, question, {"every": every, **cuts})
    begin, end = _ages(since, until)
    every_ns = _stretch(name, question, every)
    now = time.time_ns()
    window = Window(
        since_ns=EpochNs(max(0, now - begin)),
        until_ns=EpochNs(max(0, now - end)),
        every_ns=every_ns,
        limit=limit + 1,
        **cuts,
    )
    with store(url, data_dir) as client:
        found = question.answer(client, window)
    if len(found) > limit:
        typer.echo(f"Cut at {limit} lines. For more: --limit", err=True)
    _show(found[:limit], as_json=as_json, cut=bool(every))


def _check_parts(name: str, question: "Question", cuts: dict[str, str]) -> None:
    for part in [part for part, value in cuts.items() if value and part not in question.parts]:
        message = f"{name!r} cannot be asked so; it takes: {', '.join(question.parts)}."
        raise typer.BadParameter(message, param_hint=f"--{part}")


def _stretch(name: str, question: "Question", every: str) -> int:
    every_ns = options.age_ns("--every", every) if every else 0
    if every_ns % question.grain_ns:
        message = f"{name!r} knows whole minutes alone; a stretch of {every} has parts of them."
        raise typer.BadParameter(message, param_hint="--every")
    return every_ns


def _ages(since: str, until: str) -> tuple[int, int]:
    begin, end = options.age_ns("--since", since), options.age_ns("--until", until)
    if end >= begin:
        message = f"{until} ago is not after {since} ago, where the window begins."
        raise typer.BadParameter(message, param_hint="--until")
    return begin, end


def _show(rows: "Answer", *, as_json: bool, cut: bool) -> None:
    if as_json:
        output.print_json(rows)
    elif not rows:
        typer.echo("Nothing of that kind happened in that time.", err=True)
        output.next_step("a longer --since, or: otel-llm doctor")
    else:
        from otel_llm.cli.render.answer import answer_table

        screen = output.console()
        hidden = () if cut else ("start_ns",)
        screen.print(answer_table(rows, hidden, screen.width, output.glyphs(screen)))


def _named(name: str, known: "dict[str, Question]") -> "Question":
    if name not in known:
        message = f"{name!r} is no question. There are: {', '.join(known)}."
        raise typer.BadParameter(message, param_hint="NAME")
    return known[name]


def _list(known: "dict[str, Question]") -> None:
    width = max(map(len, known))
    for name, question in known.items():
        typer.echo(f"{name:{width}}  {question.help}")
    output.next_step(
        "otel-llm ask NAME --since 1h; of one call: otel-llm requests --slow, trace ID"
    )
