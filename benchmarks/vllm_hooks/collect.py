"""All figures taken in vLLM's Python. Import it when the environment is set."""

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.rounds import Round, in_turn
from benchmarks.vllm_hooks.engine import Engine, Say
from benchmarks.vllm_hooks.floor import floors
from benchmarks.vllm_hooks.patches import all_patches
from benchmarks.vllm_hooks.steps import Bench
from otel_llm.demo.vllm.model import write_model
from otel_llm.patching import Patch

BATCHES = (1, 16, 64, 256)
DRAFTS = 3
ROUNDS = 31
STEPS_WITHIN_S = 180.0
THROUGHPUT_WITHIN_S = 200.0


def collect(folder: Path, say: Say, *, quick: bool) -> dict[str, Any]:
    """Measure everything.

    Args:
        folder: on the file system that journals are usually on; they lie in `journals` below it.
        say: told of progress.
        quick: a few of each, to see that it runs.
    """
    model = write_model(folder / "model")
    patches, floor = all_patches(), floors(folder)
    figures = _steps(model, patches, floor, folder / "journals", say, quick=quick)
    say("a real vLLM with a tiny model starts")
    engine = Engine(model, patches, floor)
    figures["engine"] = {}
    for members in BATCHES:
        share = figures["engine"][str(members)] = engine.share(members)
        share["floor_us"] = engine.others_us(members)
        say(f"batch of {members}: {share['hooks_us']:.1f} us in steps of {share['step_ms']:.1f} ms")
    figures["throughput"] = engine.throughput(say, 0.0 if quick else THROUGHPUT_WITHIN_S)
    versions = {name: metadata.version(name) for name in ("vllm", "torch", "msgspec")}
    return figures | {"versions": {"python": platform.python_version()} | versions}


def _steps(
    model: Path,
    patches: Sequence[Patch],
    floor: Mapping[str, Sequence[Patch]],
    journals: Path,
    say: Say,
    *,
    quick: bool,
) -> dict[str, Any]:
    """The cost of a step, by kind of measurement and batch: rounds in microseconds."""

    def bench(*, asynchronous: bool, drafts: int = 0) -> Bench:
        return Bench(model, patches, journals, floor, asynchronous=asynchronous, drafts=drafts)

    ahead, behind = bench(asynchronous=True), bench(asynchronous=False)
    speculative = bench(asynchronous=True, drafts=DRAFTS)
    kinds: dict[str, Callable[[int], Round]] = {
        "steady": ahead.steady,
        "passing": ahead.other("passing"),
        "least": ahead.other("least"),
        "writing": ahead.other("writing"),
        "difference": ahead.difference,
        "alone": behind.alone,
        "sync": behind.steady,
        "arriving": ahead.arriving,
        "drafts": speculative.steady,
    }
    say(f"the hooks of a step, in {len(kinds)} ways at {len(BATCHES)} sizes of the batch")
    rounds = {f"{kind}-{size}": of(size) for kind, of in kinds.items() for size in BATCHES}
    timed = in_turn(rounds, 2 if quick else ROUNDS, 0.0 if quick else STEPS_WITHIN_S)
    say(f"{min(map(len, timed.every.values()))} rounds")
    return {
        "quiet": timed.quiet,
        "every": timed.every,
        "by_hook_us": {str(size): ahead.by_hook(size) for size in BATCHES},
        "bytes_per_step": {str(size): ahead.bytes_per_step(size) for size in BATCHES},
    }
