"""`otel-llm energy`: who is charged for which energy, and whether the account closes."""

import csv
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.store import store
from otel_llm.clock import EpochNs

if TYPE_CHECKING:
    from otel_llm.query.energy import By, Reconciliation, Report
    from otel_llm.query.ledger import LedgerLine

_PRICED = ("money", "money_per_million", "money_per_request", "co2_g", "co2_g_per_million",
           "co2_g_per_request")  # fmt: skip
_UNMEASURED = {"replay": "replayed, not measured here", "estimate": "estimated, not measured"}


def energy(
    by: Annotated[
        str, typer.Option(help="What lines are told apart by: tenant, model, service, phase.")
    ] = "tenant,model",
    since: Annotated[str, typer.Option(help="How far back, for example 15m, 24h, 30d.")] = "1h",
    until: Annotated[str, typer.Option(help="Until how long ago, in the same way.")] = "0s",
    service: Annotated[str, typer.Option(help="This engine service alone.")] = "",
    tenant: Annotated[str, typer.Option(help="This tenant alone.")] = "",
    model: Annotated[str, typer.Option(help="This model alone.")] = "",
    windows: Annotated[
        bool,
        typer.Option("--windows", help="The ledger: each device and window."),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Most lines.")] = 1000,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the lines as CSV.")] = False,
    as_json: options.Json = False,
    config: options.Config = None,
    url: options.Url = None,
    data_dir: options.DataDir = None,
) -> None:
    """Charge energy, money and carbon to tenants, models or phases.

    Prices come from the settings `energy_*`; what has no price is left out. The last lines
    reconcile what requests are charged with what the devices drew; `--windows` does so for each
    device and window.
    """
    from otel_llm.energy.prices import prices
    from otel_llm.query.energy import energy as question
    from otel_llm.query.ledger import ledger
    from otel_llm.query.window import Window
    from otel_llm.settings import load

    if as_csv and as_json:
        message = "is one way to print, --json another: choose one."
        raise typer.BadParameter(message, param_hint="--csv")
    parts = _parts(by)
    costs = prices(load(config))
    begin, end = options.age_ns("--since", since), options.age_ns("--until", until)
    if end >= begin:
        message = f"{until} ago is not after {since} ago, where the time begins."
        raise typer.BadParameter(message, param_hint="--until")
    now = time.time_ns()
    window = Window(
        since_ns=EpochNs(max(0, now - begin)), until_ns=EpochNs(max(0, now - end)),
        service=service, tenant=tenant, model=model, limit=limit,
    )  # fmt: skip
    if windows:
        with store(url, data_dir) as client:
            lines = ledger(client, window)
        _print_ledger(lines, as_csv=as_csv, as_json=as_json)
        return
    with store(url, data_dir) as client:
        report = question(client, window, parts, costs)
    if as_json:
        output.print_json(report)
    elif as_csv:
        _print_csv(report)
    else:
        _print(report)


def _parts(text: str) -> "list[By]":
    from otel_llm.query.energy import BY

    wanted = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in wanted if part not in BY]
    if unknown or not wanted:
        message = f"{text!r} cannot be told apart by. There are: {', '.join(BY)}."
        raise typer.BadParameter(message, param_hint="--by")
    return [part for part in BY if part in wanted]


def _print_csv(report: "Report") -> None:
    """Lines alone on stdout, for a spreadsheet; the reconciliation goes to stderr."""
    from otel_llm.query.energy import BY, Line

    hidden = set(BY) - set(report.by)
    names = [name for name in Line.__struct_fields__ if name not in hidden]
    rows = csv.writer(sys.stdout)
    rows.writerow([*names, "currency"])
    for line in report.lines:
        values = [getattr(line, name) for name in names]
        rows.writerow(["" if value is None else value for value in values] + [report.currency])
    for text in reconciliation_lines(report.reconciliation, report.currency):
        typer.echo(text, err=True)


def _print_ledger(lines: "list[LedgerLine]", *, as_csv: bool, as_json: bool) -> None:
    from otel_llm.query.ledger import LedgerLine

    if as_json:
        output.print_json(lines)
    elif as_csv:
        rows = csv.writer(sys.stdout)
        rows.writerow(LedgerLine.__struct_fields__)
        rows.writerows([getattr(line, name) for name in line.__struct_fields__] for line in lines)
    elif lines:
        from otel_llm.cli.render.answer import answer_table

        screen = output.console()
        hidden = ["started_ns", *([] if any(line.flags for line in lines) else ["flags"])]
        screen.print(answer_table(lines, hidden, screen.width, output.glyphs(screen)))
    else:
        typer.echo("No device was metered in that time.", err=True)
        output.next_step("a longer --since, or: otel-llm devices, otel-llm doctor")


def _print(report: "Report") -> None:
    whole = report.reconciliation
    if not report.lines and not whole.windows:
        typer.echo("No device was metered and no request charged in that time.", err=True)
        output.next_step("a longer --since, or: otel-llm devices, otel-llm doctor")
        return
    if report.lines:
        from otel_llm.cli.render.answer import answer_table
        from otel_llm.query.energy import BY

        screen = output.console()
        unknown = [
            name for name in _PRICED if all(getattr(line, name) is None for line in report.lines)
        ]  # fmt: skip
        hidden = [*(part for part in BY if part not in report.by), *unknown]
        if not whole.partial_engines:
            hidden.append("scope")
        screen.print(answer_table(report.lines, hidden, screen.width, output.glyphs(screen)))
    for line in reconciliation_lines(whole, report.currency):
        typer.echo(line)
    if not report.lines or all(line.money is None for line in report.lines):
        output.next_step("OTEL_LLM_ENERGY_PER_KWH=0.25 otel-llm energy, for money")


def reconciliation_lines(whole: "Reconciliation", currency: str) -> list[str]:
    """The account in words: what devices drew, what it went to, what does not agree."""
    told = [_UNMEASURED[one] for one in whole.sources if one in _UNMEASURED]
    marked = f" ({'; '.join(told)})" if told else ""
    side = "less" if whole.residual_j >= 0 else "more"
    why = " (requests still open, or across the ends of the time)" if whole.residual_j else ""
    lines = [
        f"Devices drew {whole.delta_j:,.1f} J{marked} = {whole.attributed_j:,.1f} J attributed"
        f" + {whole.idle_j:,.1f} J idle + {whole.unattributed_j:,.1f} J unattributed.",
        f"Requests that ended were charged {whole.charged_j:,.1f} J:"
        f" {abs(whole.residual_j):,.1f} J {side} than attributed{why}.",
    ]
    if whole.incomplete:
        why = f": {', '.join(whole.flags)}" if whole.flags else ""
        lines.append(f"{whole.incomplete} of {whole.windows} windows are incomplete{why}.")
    if whole.doubled:
        lines.append(
            f"{whole.doubled} windows are in the ledger twice: two agents read one device, and each"
            " charged all of it. Stop one, or give it OTEL_LLM_DEVICES=none."
        )
    if whole.partial_engines:
        lines.append(
            f"{whole.partial_engines} engines have devices that nobody meters: their requests took"
            " more (scope local)."
        )
    if whole.overhead_money is not None:
        lines.append(f"Idle and unattributed: {whole.overhead_money:,.4f} {currency}.")
    return lines
