"""`otel-llm size`: what a deployment needs, from measured costs."""

from typing import Annotated

import typer

from otel_llm.cli import options, output
from otel_llm.cli.extras import needs


def size(
    gpus: Annotated[int, typer.Option(help="All GPUs.")],
    rps: Annotated[float, typer.Option(help="API calls a second at the gateways, all together.")],
    gpus_per_engine: Annotated[int, typer.Option(help="GPUs of one engine.")] = 8,
    gpus_per_node: Annotated[int, typer.Option(help="GPUs of one node.")] = 8,
    output_tokens: Annotated[float, typer.Option(help="Mean of a call.")] = 300.0,
    steps_per_s: Annotated[float, typer.Option(help="Of one engine while it is busy.")] = 40.0,
    keep: Annotated[float, typer.Option(help="Share of spans that sampling keeps.")] = 1.0,
    kernels_per_step: Annotated[
        int, typer.Option(help="Recorded kernels of a step and GPU; 0 records none.")
    ] = 0,
    raw_every: Annotated[
        int, typer.Option(help="Single kernels of one step of so many; 0 keeps sums alone.")
    ] = 0,
    days: Annotated[float, typer.Option(help="How long rows are kept.")] = 30.0,
    write_every: Annotated[
        float, typer.Option(help="Seconds between two writes of an agent (batch_interval_s).")
    ] = 1.0,
    shard_cores: Annotated[int, typer.Option(help="Cores of one ClickHouse server.")] = 16,
    shard_tb: Annotated[float, typer.Option(help="Disk of one, in TB.")] = 4.0,
    as_json: options.Json = False,
) -> None:
    """Say what a deployment needs: rows, bytes, cores, shards, collectors, network.

    Reckoned from the costs that the benchmarks measured; docs/sizing.md says what it leaves out.
    """
    from otel_llm.sizing.model import Plan
    from otel_llm.sizing.model import size as reckon

    plan = Plan(
        gpus=gpus,
        calls_per_s=rps,
        gpus_per_engine=gpus_per_engine,
        gpus_per_node=gpus_per_node,
        output_tokens=output_tokens,
        steps_per_s=steps_per_s,
        keep=keep,
        kernels_per_step=kernels_per_step,
        raw_every=raw_every,
        days=days,
        write_every_s=write_every,
        shard_cores=shard_cores,
        shard_bytes=shard_tb * 1e12,
    )
    found = reckon(plan)
    if as_json:
        output.print_json({"plan": plan._asdict(), "size": found._asdict()})
        return
    with needs("The command line", "cli"):
        from rich.table import Table
    from otel_llm.sizing.page import amount, lines

    table = Table("", "", box=None, show_header=False)
    for what, much in lines(found):
        table.add_row(what, much)
    for name, daily in sorted(found.bytes_per_day.items(), key=lambda pair: -pair[1]):
        if daily:
            table.add_row(f"  {name}", f"{amount(daily)} a day")
    output.console().print(table)
    output.next_step("docs/sizing.md says what these sums leave out")
