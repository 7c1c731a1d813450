"""`otel-llm kernels`: what kernels took, and profiles brought into the store."""

import datetime as dt
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.extras import needs
from otel_llm.cli.store import store
from otel_llm.clock import EpochNs
from otel_llm.settings import load as load_settings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from otel_llm.kernels.imports.facts import Import, Summary

app = typer.Typer(help="What kernels took; import profiles.", no_args_is_help=True)


class By(str, Enum):
    """What `top` sums up."""

    CLASS = "class"
    NAME = "name"


@app.command("top")
def top(
    by: Annotated[By, typer.Option(help="Sum up classes or single names.")] = By.CLASS,
    of_class: Annotated[str, typer.Option("--class", help="Names of this class alone.")] = "",
    since: Annotated[str, typer.Option(help="How far back, for example 90s, 15m or 7d.")] = "15m",
    until: Annotated[str, typer.Option(help="Until how long ago, in the same way.")] = "0s",
    service: Annotated[str, typer.Option(help="This engine service alone.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most lines.")] = 30,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
) -> None:
    """Show which kernels took the time of each engine, most first."""
    from otel_llm.query.kernels import kernel_time
    from otel_llm.query.window import Window

    begin, end = options.age_ns("--since", since), options.age_ns("--until", until)
    if end >= begin:
        message = f"{until} ago is not after {since} ago, where the window begins."
        raise typer.BadParameter(message, param_hint="--until")
    now = time.time_ns()
    window = Window(
        since_ns=EpochNs(max(0, now - begin)), until_ns=EpochNs(max(0, now - end)),
        service=service, limit=limit,
    )  # fmt: skip
    chosen = By.NAME if of_class else by
    with store(url, data_dir) as client:
        rows = kernel_time(client, window, chosen.value, of_class)
    if as_json:
        output.print_json(rows)
        return
    if not rows:
        typer.echo("No kernels in that time.", err=True)
        output.next_step("a longer --since, or: otel-llm kernels import FILE")
        return
    from otel_llm.cli.render.kernels import shares_table

    screen = output.console()
    screen.print(shares_table(rows, screen.width, output.glyphs(screen)))


@app.command("import")
def import_profile(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="Kineto JSON, .json.gz or nsys SQLite."),
    ],
    service: Annotated[str, typer.Option(help="Service the kernels shall belong to.")] = "imported",
    host: Annotated[str, typer.Option(help="Host name. Default: what the file tells.")] = "",
    model: Annotated[str, typer.Option(help="Model that was served.")] = "",
    device: Annotated[
        list[str] | None,
        typer.Option(help="NUMBER=NAME: a name for one of the file's devices. May be repeated."),
    ] = None,
    at: Annotated[
        str, typer.Option(help="Time of the first kernel, `now` or ISO 8601. Default: the file's.")
    ] = "",
    step_mark: Annotated[
        str,
        typer.Option(
            help="Regular expression of annotations that mark steps; group 1 is a number."
        ),
    ] = r"ProfilerStep#(\d+)",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and report, store nothing.")
    ] = False,
    as_json: options.Json = False,
    url: options.Url = None,
    data_dir: options.DataDir = None,
) -> None:
    """Bring a profile of PyTorch or Nsight Systems into the tables of kernels.

    The same file is stored once, however often it is imported.
    """
    with needs("Importing profiles", "store"):
        from otel_llm.kernels.imports.facts import Identity, Import
        from otel_llm.kernels.imports.load import instance_of, load
    identity = Identity(instance_of(file), service, host, model, _devices(device or []))
    at_ns = _moment(at)
    if dry_run:
        # Without a place in time, a file that has none can be looked at too.
        profile = load(file, step_mark)
        if profile.offset_ns is None and at_ns is None:
            at_ns = time.time_ns()
        _report(Import(profile, identity, at_ns).summary(), {}, as_json)
        return
    with store(url, data_dir) as client:
        from otel_llm.kernels.imports.store import earlier

        before = earlier(client, identity.instance_id)
        if before is not None and before.event == "imported":
            _already(before.service, identity.instance_id, as_json)
            return
        ours = Import(load(file, step_mark), identity, before.time_ns if before else at_ns)
        rows = _write(client, ours)
    _report(ours.summary(), rows, as_json)


def _write(client: "Client", ours: "Import") -> dict[str, int]:
    from otel_llm.exporters.clickhouse.schema import wanted
    from otel_llm.kernels.imports.store import check_age, write

    check_age(ours.summary().start_ns, wanted(load_settings().retention), time.time_ns())
    return write(client, ours)


def _devices(given: list[str]) -> dict[str, str]:
    names = {}
    for one in given:
        number, sign, name = one.partition("=")
        if not (number and sign and name):
            message = f"{one!r} does not name a device: write for example 0=GPU-5a3c."
            raise typer.BadParameter(message, param_hint="--device")
        names[number] = name
    return names


def _moment(text: str) -> int | None:
    if not text:
        return None
    if text == "now":
        return time.time_ns()
    try:
        when = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        message = f"{text!r} is no time: write `now` or for example 2026-11-26T10:00:00Z."
        raise typer.BadParameter(message, param_hint="--at") from error
    return round(when.replace(tzinfo=when.tzinfo or dt.timezone.utc).timestamp() * 1e6) * 1000


def _already(service: str, instance: str, as_json: bool) -> None:
    if as_json:
        output.print_json({"already_imported": True, "instance_id": instance, "service": service})
        return
    typer.echo(f"This file was imported before, as service {service}. Nothing was stored.")


def _report(summary: "Summary", rows: dict[str, int], as_json: bool) -> None:
    if as_json:
        told = summary._asdict()
        told["classes"] = [share._asdict() for share in summary.classes]
        output.print_json({"already_imported": False, **told, "rows": rows})
        return
    from otel_llm.cli.render.kernels import summary_lines

    for line in summary_lines(summary, rows):
        typer.echo(line)
    asked = f"otel-llm kernels top --since {_since(summary)}"
    output.next_step(asked if rows else "the same without --dry-run")


def _since(summary: "Summary") -> str:
    hours = (time.time_ns() - summary.start_ns) // 3_600_000_000_000 + 1
    return f"{min(max(1, hours), 999_999)}h"
