"""A real vLLM that generates on a CPU: what the hooks take of its steps and of its throughput.

The engine core and what would be the API server run in one process and one thread, vLLM's
`LLMEngine`. So both halves' hooks add to every step, where a server's two processes share them.
"""

import itertools
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from vllm import LLM, SamplingParams

from benchmarks.gpu_probe.gpuprobe.stats import paired_ratio
from benchmarks.vllm_hooks.meter import Meter, own_time
from benchmarks.vllm_hooks.switch import in_place, switch
from otel_llm.patching import Patch, PatchSet

Say = Callable[[str], None]
MEMBERS = 32
PROMPT = 64
OUTPUT = 211
"""Mean output of the conversations in the Azure LLM inference trace 2023."""
PAIRS = 200
FEWEST_PAIRS = 12
SHARE_STEPS = {1: 200, 16: 150, 64: 100, 256: 40}
"""Steps while the hooks are timed in place, by members of the batch."""


class Engine:
    """An engine with made-up weights, and the hooks attached to it.

    Args:
        model: the model's directory.
        patches: the hooks.
        others: other hooks, by name.
    """

    def __init__(
        self, model: Path, patches: Sequence[Patch], others: Mapping[str, Sequence[Patch]]
    ) -> None:
        self._plain = PatchSet(*patches)
        self._meter = Meter(patches)
        self._others = {name: Meter(hooks) for name, hooks in others.items()}
        with in_place(self._plain):
            self._engine = LLM(
                model=str(model),
                load_format="dummy",
                enforce_eager=True,
                max_model_len=1024,
                max_num_seqs=256,
                enable_prefix_caching=False,
                disable_log_stats=False,
            ).llm_engine
        self._numbers = itertools.count()
        self._random = random.Random(0)

    def throughput(self, say: Say, within_s: float) -> dict[str, Any]:
        """Output tokens per second with the hooks in and out, in pairs that turn their order.

        Args:
            say: told of progress.
            within_s: begin no further pair after so many seconds, once there are 12.
        """
        rates: dict[bool, list[float]] = {True: [], False: []}
        until = time.monotonic() + within_s
        self._rate(hooks=False)  # the first run is slower
        for pair in range(PAIRS):
            if pair >= FEWEST_PAIRS and time.monotonic() > until:
                break
            first = pair % 2 == 0
            for hooks in (first, not first):
                rates[hooks].append(self._rate(hooks=hooks))
            if pair % 10 == 9:
                so_far = paired_ratio(rates[False], rates[True])
                say(f"{pair + 1} pairs: {so_far['median']:.3f} of the tokens per second")
        return {
            "ratio": paired_ratio(rates[False], rates[True]),
            "tokens_per_s": rates[True],
            "tokens_per_s_without": rates[False],
        }

    def share(self, members: int) -> dict[str, float]:
        """Time inside the hooks while the engine generates, against that of its steps.

        Returns:
            Medians over the steps: time of a step in milliseconds, time in its hooks in
            microseconds; and the share.
        """
        steps, hooks_ns = self._hooks(self._meter, members)
        return {
            "steps": len(steps),
            "step_ms": median(steps) / 1e6,
            "hooks_us": hooks_ns / 1e3,
            "share": hooks_ns / median(steps),
        }

    def others_us(self, members: int) -> dict[str, float]:
        """Time in each of the other hooks per step, in microseconds."""
        return {name: self._hooks(meter, members)[1] / 1e3 for name, meter in self._others.items()}

    def _hooks(self, meter: Meter, members: int) -> tuple[list[int], float]:
        """Nanoseconds of each step, and the median of those in hooks."""
        steps, hooks = self._timed(meter, meter.timed, members)
        _, stopwatches = self._timed(meter, meter.empty, members)
        return steps, own_time(hooks, stopwatches)

    def _timed(self, meter: Meter, hooks: PatchSet, members: int) -> tuple[list[int], list[int]]:
        """Nanoseconds of each step, and what the stopwatches show for it."""
        steps, shown = [], []
        with in_place(hooks):
            self._add(members, SHARE_STEPS[members])
            self._engine.step()  # the prompts
            while self._engine.has_unfinished_requests():
                spent, began = meter.spent_ns(), time.perf_counter_ns()
                self._engine.step()
                steps.append(time.perf_counter_ns() - began)
                shown.append(meter.spent_ns() - spent)
        return steps, shown

    def _rate(self, *, hooks: bool) -> float:
        switch(self._plain, on=hooks)
        began = time.perf_counter()
        self._add(MEMBERS, OUTPUT)
        self._run()
        took = time.perf_counter() - began
        switch(self._plain, on=False)
        return MEMBERS * OUTPUT / took

    def _add(self, members: int, output: int) -> None:
        for _ in range(members):
            self._engine.add_request(
                f"cmpl-{next(self._numbers):032x}",
                {"prompt_token_ids": self._random.choices(range(64), k=PROMPT)},
                SamplingParams(max_tokens=output, ignore_eos=True),
            )

    def _run(self) -> None:
        """Generate until every request has ended."""
        while self._engine.has_unfinished_requests():
            self._engine.step()
