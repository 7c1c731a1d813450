"""`otel-llm alerts`: rules from objectives; build them, check them, explain them."""

import math
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.extras import needs

if TYPE_CHECKING:
    from otel_llm.alert_rules.model import Slo
    from otel_llm.alert_rules.rule import Rule

app = typer.Typer(help="Build, check or explain alert rules.", no_args_is_help=True)

Specs = Annotated[
    Path | None, typer.Option(help="Folder or file of objectives. Default: those that come along.")
]
Out = Annotated[Path, typer.Option(help="Folder of the generated files.")]
Runbooks = Annotated[
    str | None,
    typer.Option(help="URL under which you serve the runbooks. Default: the setting."),
]
Boards = Annotated[
    str | None, typer.Option(help="URL of Grafana, for links to boards. Default: the setting.")
]


@app.command("build")
def build_rules(
    out: Out = Path("alerts"),
    specs: Specs = None,
    runbooks: Runbooks = None,
    boards: Boards = None,
    as_json: options.Json = False,
) -> None:
    """Write Prometheus rule files and PrometheusRule manifests."""
    with needs("Alert rules", "alerts"):
        from otel_llm.alert_rules import build
    made = _made(specs, runbooks, boards)
    build.write(out, made)
    if as_json:
        output.print_json({"out": str(out), "files": sorted(made)})
        return
    typer.echo(f"Wrote {len(made)} files to {out}.")
    output.next_step(f"promtool check rules {out}/rules/*.yaml, then name them in rule_files")


@app.command("check")
def check_rules(
    out: Out = Path("alerts"),
    specs: Specs = None,
    runbooks: Runbooks = None,
    boards: Boards = None,
    as_json: options.Json = False,
) -> None:
    """Exit with 1 if an objective is wrong, a file is out of date, or promtool refuses one."""
    with needs("Alert rules", "alerts"):
        from otel_llm.alert_rules import build
    stale = [str(path) for path in build.stale(out, _made(specs, runbooks, boards))]
    refused = "" if stale else _promtool(out)
    if as_json:
        found = {"stale": stale, "refused": refused, "promtool": bool(shutil.which("promtool"))}
        output.print_json(found)
    else:
        for path in stale:
            typer.echo(f"Out of date: {path}")
        typer.echo(refused or ("" if stale else f"The rules in {out} are up to date."))
        if not shutil.which("promtool"):
            typer.echo("promtool is not installed: the grammar was not checked.", err=True)
    if stale:
        named = f" --specs {specs}" if specs else ""
        output.next_step(f"otel-llm alerts build --out {out}{named}")
    if stale or refused:
        raise typer.Exit(1)


def _promtool(out: Path) -> str:
    """What promtool says against the files; empty if nothing, or if there is no promtool."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return ""
    files = [str(path) for path in sorted((out / "rules").glob("*.yaml"))]
    done = subprocess.run(
        [promtool, "check", "rules", *files], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip()


@app.command("receivers")
def write_receivers(
    out: Annotated[Path, typer.Option(help="Folder of Alertmanager's files.")] = Path(
        "alertmanager"
    ),
    specs: Specs = None,
    pagerduty_key_file: Annotated[str, typer.Option(help="File with PagerDuty's key.")] = "",
    slack_url_file: Annotated[str, typer.Option(help="File with Slack's webhook.")] = "",
    slack_channel: Annotated[str, typer.Option(help="Slack's channel.")] = "#llm-alerts",
    webhook_url: Annotated[str, typer.Option(help="Gets every page and ticket.")] = "",
    webhook_token_file: Annotated[str, typer.Option(help="File with its token.")] = "",
    drain_url: Annotated[str, typer.Option(help="The drain hook's address.")] = "",
    drain_token_file: Annotated[str, typer.Option(help="File with its token.")] = "",
    watchdog_url: Annotated[str, typer.Option(help="A dead man's switch elsewhere.")] = "",
) -> None:
    """Write Alertmanager's configuration and templates; secrets stay in the files named."""
    with needs("Alert rules", "alerts"):
        from otel_llm.alert_rules import build, routing
    from otel_llm.settings import check_url

    to = routing.Receivers(
        pagerduty_key_file,
        slack_url_file,
        slack_channel,
        webhook_url,
        webhook_token_file,
        drain_url,
        drain_token_file,
        watchdog_url,
    )
    for option in ("webhook_url", "drain_url", "watchdog_url"):
        if address := getattr(to, option):
            check_url(f"--{option.replace('_', '-')}", address)
    text = routing.config(build.load(specs), to)
    out.mkdir(parents=True, exist_ok=True)
    (out / "alertmanager.yml").write_text(text, encoding="utf-8")
    shutil.copytree(routing.TEMPLATES, out / "templates", dirs_exist_ok=True)
    typer.echo(f"Wrote {out}/alertmanager.yml and templates.")
    output.next_step(f"amtool check-config {out}/alertmanager.yml")


@app.command("explain")
def explain_rule(
    name: Annotated[
        str, typer.Argument(help="An objective (ttft-caller) or an alert (EngineDead).")
    ],
    error_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of bad events, for detection times.")
    ] = 1.0,
    specs: Specs = None,
    as_json: options.Json = False,
) -> None:
    """Say when an alert fires, how fast, and what to do then."""
    with needs("Alert rules", "alerts"):
        from otel_llm.alert_rules import build
    slos = build.load(specs)
    for slo in slos:
        if name in (slo.name, slo.alert_name):
            _explain_slo(slo, error_share, as_json)
            return
    rules = [rule for rule in build.alerts(build.groups(slos)) if rule.name == name]
    if not rules:
        known = ", ".join(sorted({rule.name for rule in build.alerts(build.groups(slos))}))
        message = f"There is no objective or alert {name!r}. Objectives: "
        message += f"{', '.join(slo.name for slo in slos)}. Alerts: {known}."
        raise output.failed(message)
    _explain_alert(rules[0], as_json)


@app.command("runbook")
def show_runbook(
    alert: Annotated[str, typer.Argument(help="An alert's name (EngineDead).")],
) -> None:
    """Print an alert's runbook: what it means, how to confirm it, what to do."""
    with needs("Alert rules", "alerts"):
        from otel_llm.alert_rules import pages
    try:
        typer.echo(pages.runbook(alert), nl=False)
    except LookupError as error:
        raise output.failed(error.args[0]) from error


def _explain_slo(slo: "Slo", error_share: float, as_json: bool) -> None:
    from otel_llm.alert_rules import explain, pages, windows

    lines = list(explain.lines(slo, windows.load(), error_share))
    if as_json:
        told = [line._asdict() for line in lines]
        for burn in told:
            if math.isinf(burn["least_detection_s"]):
                burn["least_detection_s"] = None
        output.print_json({"name": slo.name, "alert": slo.alert_name, "burns": told})
        return
    typer.echo(f"{slo.title} ({slo.name}): {slo.objective:g} % over {slo.period}")
    typer.echo(f"  counts   {explain.indicator(slo)}")
    typer.echo(f"  kept by  {', '.join(slo.by) or 'all together'}")
    typer.echo(f"  guard    {explain.guard(slo)}")
    if not lines:
        typer.echo("\nIt is recorded, and alerts nobody.")
        return
    typer.echo(
        f"\nIf {100 * error_share:g} % of events are bad from now on, {slo.alert_name} fires"
    )
    for line in lines:
        typer.echo(
            f"  {line.severity:<8}  after {explain.when(line):>8}  "
            f"above {100 * line.error_share:.4g} % in {line.long} and {line.short} "
            f"({line.factor:.4g} x, {100 * line.budget:.3g} % of the budget)"
        )
    output.next_step(f"otel-llm alerts runbook {pages.page(slo.alert_name)}")


def _explain_alert(rule: "Rule", as_json: bool) -> None:
    from otel_llm.alert_rules import pages

    if as_json:
        output.print_json(rule._asdict())
        return
    typer.echo(f"{rule.name} ({rule.labels['severity']}, {rule.labels['category']})")
    for key in ("summary", "description", "cause"):
        typer.echo(f"  {key:<12} {rule.annotations.get(key, '')}")
    typer.echo(f"  {'for':<12} {rule.for_s:g} s\n\n{rule.expr}")
    output.next_step(f"otel-llm alerts runbook {pages.page(rule.name)}")


def _made(specs: Path | None, runbooks: str | None, boards: str | None) -> dict[str, str]:
    from otel_llm.alert_rules import build
    from otel_llm.alert_rules.pages import Addresses
    from otel_llm.settings import check_url, load

    settings = load(runbooks_url=runbooks, boards_url=boards)
    to = Addresses(settings.runbooks_url.rstrip("/"), settings.boards_url.rstrip("/"))
    for name, address in zip(("runbooks_url", "boards_url"), to, strict=True):
        if address:
            check_url(name, address)
    return build.files(build.load(specs), to=to)
