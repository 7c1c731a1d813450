"""`otel-llm doctor`: what was detected, what is off and why, and what to do."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

from otel_llm.cli import options, output

if TYPE_CHECKING:
    from otel_llm.cli.checks.finding import Finding

_STYLES = {"ok": "green", "off": "dim", "warning": "yellow", "problem": "red"}


def doctor(
    as_json: options.Json = False,
    config: options.Config = None,
    everything: bool = typer.Option(
        False, "--all", help="List every setting, not changed ones alone."
    ),
) -> None:
    """Look at every part of the stack. Exits with 1 if something is broken.

    What is merely off is no problem: each part works without the others.
    """
    with output.console(stderr=True).status("Looking at every part"):
        findings = list(examine(config))
    broken = sum(one.status == "problem" for one in findings)
    if as_json:
        output.print_json({"problems": broken, "findings": findings})
    else:
        _print([one for one in findings if everything or not _is_default(one)])
        typer.echo(f"{broken or 'No'} problem{'' if broken == 1 else 's'}.")
        _advise(findings)
    if broken:
        raise typer.Exit(1)


def examine(config: str | None) -> "Iterator[Finding]":
    """All findings, part by part. A wrong setting leaves the parts that need it unexamined."""
    from otel_llm.cli.checks import (
        agent,
        configuration,
        devices,
        gpu,
        identity,
        journals,
        kernels,
        python,
        stack,
        vllm,
    )
    from otel_llm.cli.checks.finding import Finding
    from otel_llm.errors import SettingError
    from otel_llm.settings import load

    yield from python.check()
    try:
        settings = load(config)
    except SettingError as error:
        yield Finding("settings", error.name, "problem", str(error), "mend it, then look again")
    else:
        parts: list[Callable[[], Iterator[Finding]]] = [
            lambda: journals.check(settings),
            lambda: agent.check(settings),
            lambda: devices.check(settings),
            lambda: identity.check(settings),
            lambda: stack.check(settings),
            lambda: configuration.check(settings, config),
            lambda: kernels.check(settings),
        ]
        for part in parts:
            yield from part()
    yield from vllm.check()
    yield from gpu.check()


def _is_default(finding: "Finding") -> bool:
    return finding.area == "settings" and finding.detail.endswith(" from default")


def _print(findings: "list[Finding]") -> None:
    from rich.table import Table
    from rich.text import Text

    from otel_llm.cli.render.text import clean

    screen = output.console()
    glyphs = output.glyphs(screen)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    area = ""
    for one in findings:
        text = clean(one.detail, glyphs)
        if one.remedy and one.status != "ok":
            text += f"\n{'->'} {clean(one.remedy, glyphs)}"
        shown = one.area if one.area != area else ""
        status = Text(one.status, style=_STYLES[one.status])
        table.add_row(Text(shown, style="bold"), clean(one.what, glyphs), status, Text(text))
        area = one.area
    screen.print(table)


def _advise(findings: "list[Finding]") -> None:
    for status in ("problem", "warning", "off"):
        for one in findings:
            if one.status == status and one.remedy:
                output.next_step(one.remedy)
                return
