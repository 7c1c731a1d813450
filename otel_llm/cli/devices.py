"""`otel-llm devices`: what the agent can read of this node's devices."""

from typing import TYPE_CHECKING, Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.extras import needs
from otel_llm.settings import load

if TYPE_CHECKING:
    from otel_llm.devices.survey import Look
    from otel_llm.facts.device import DeviceSample

_COLUMNS = ("device", "name", "source", "power", "energy", "busy", "memory", "temperature")


def devices(
    named: Annotated[
        list[str] | None,
        typer.Option(
            "--devices",
            help="auto, nvml, rapl, estimate, replay:FILE or none; may be repeated.",
        ),
    ] = None,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Read every device once, and say what cannot be read and why.

    Exits with 1 if there is no device.
    """
    settings = load(config, devices=tuple(named) if named else None)
    with needs("Devices", "cli"):
        from otel_llm.clock import SYSTEM_CLOCK
        from otel_llm.devices.choose import choose
        from otel_llm.devices.survey import look
    looks = [look(source) for source in choose(settings, SYSTEM_CLOCK)]
    if as_json:
        output.print_json({"sources": looks})
    else:
        _print(looks)
    if not any(each.devices for each in looks):
        raise typer.Exit(1)


def _print(looks: "list[Look]") -> None:
    from rich.table import Table

    table = Table(*_COLUMNS, box=None)
    for each in looks:
        answered = {(one.device.id, one.device.mig): one for one in each.samples}
        for device in each.devices:
            sample = answered.get((device.id, device.mig))
            cells = ("no answer",) if sample is None else _cells(sample)
            name = f"{device.name} {device.mig}".strip()
            table.add_row(device.id, name, each.source, *cells)
    if table.row_count:
        output.console().print(table)
    for each in looks:
        for problem in each.problems:
            typer.echo(f"{each.source}: {problem}")
        for call, count in each.unsupported.items():
            typer.echo(f"{each.source}: {call} is not supported by {count} of {len(each.devices)}")


def _cells(sample: "DeviceSample") -> tuple[str, ...]:
    power_mw = sample.power_average_mw if sample.power_mw is None else sample.power_mw
    return (
        _scaled(power_mw, 1000, "W"),
        _scaled(sample.energy_mj, 1000, "J"),
        _scaled(sample.gpu_utilization, 1, "%"),
        _scaled(sample.memory_used_bytes, 1 << 30, "GiB"),
        _scaled(sample.temperature_c, 1, "C"),
    )


def _scaled(value: float | None, unit: int, name: str) -> str:
    return "-" if value is None else f"{value / unit:.{0 if unit == 1 else 1}f} {name}"
