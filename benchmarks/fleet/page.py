"""The readable page of the fleet."""

from typing import Any

from otel_llm.sizing.page import amount

METHOD = """The fleet has {nodes:,} nodes of eight GPUs and {calls:,.0f} calls a second. Here so
many of its nodes send as one machine takes, each at its full rate, so that blocks are as small as
they are in the fleet: every second 40 steps, 12 requests with their energy, 8 readings and 8 lines
of the ledger in five inserts, and 84 spans in one OTLP request; and a gateway's agent for each 100
calls a second with calls and attempts. Inserts go through the writer that agents have, into a real
`otel-llm up`; spans go to its receiver, or to a real collector as deployed before it. CPU is user
and system time of `up`, and of the collector, from the first block until all rows are in their
tables and no merge runs, over the seconds of sending. Agents and the sender are not counted. Every
row is counted in the end: none may be missing or twice. Late is from when an agent's second was
due until all of it was acknowledged."""
LIMITS = """What the fleet's figure assumes: cost grows with nodes in a straight line from the
first to the last run; one embedded engine stands for a ClickHouse server, though a server's
inserts cost less; shards, replicas, distribution over shards (which splits a block), the network,
questions of readers and merges of tables of a month are not in it; nodes are alike and busy all
the time; no span is sampled away. Bytes are of tables that hold less than a minute, in small
parts, so they are above those of large tables."""


def render(result: dict[str, Any]) -> str:
    """The page as Markdown."""
    fleet, versions = result["fleet"], result["versions"]
    lines = [
        "# The ingest tier of 8,000 GPUs, scaled down", "",
        f"Taken {result['taken']} on {result['machine']['processor']}, "
        f"{result['machine']['cores']} cores; chDB {versions['chdb']}, collector "
        f"{versions['collector'] or 'not run'}; {result['seconds']} s each.", "",
        METHOD.format(nodes=fleet["nodes"], calls=fleet["calls_per_s"]), "",
        "| spans through | nodes | inserts/s | cores | `otel-llm size` says | bytes a day | said | "
        "an insert, ms (p95) | late, ms (p95) |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_line(way, one, result["seconds"]) for way, each in result["ways"].items()
          for one in each["runs"]), "",
        "| spans through | measured to said, cores | a node, cores | the fleet, cores | said |",
        "|---|---|---|---|---|",
        *(
            f"| {way} | {one['cores_to_said']} | {one['cores_per_node']:.3g} | "
            f"{one['fleet_cores']:.4g} | {one['fleet_cores_said']:.4g} |"
            for way, one in result["ways"].items()
        ), "",
        LIMITS, "",
    ]  # fmt: skip
    return "\n".join(lines)


def _line(way: str, one: dict[str, Any], seconds: int) -> str:
    said = one["said"]
    return (
        f"| {way} | {one['nodes']} | {one['inserts'] / seconds:.0f} | {one['cores']} | "
        f"{said['cores']} | {amount(one['bytes_per_day'])} | {amount(said['bytes_per_day'])} | "
        f"{one['insert_ms']['p95']} | {one['late_ms']['p95']} |"
    )
