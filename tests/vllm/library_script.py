"""Run by vLLM's Python: use vLLM as a library, and tell what happened as one line of JSON.

Arguments: the model's directory, and `fork`, `spawn` or `undo`. `undo` takes the hooks out after a
first batch, and sends a second one.
"""

import json
import multiprocessing
import os
import sys
from typing import Any


def main() -> None:
    """Generate, and say which ids and how many tokens came out."""
    model_dir, how = sys.argv[1:]
    if how == "fork":
        fork_on_a_cpu()
    from vllm import LLM

    llm = LLM(
        model_dir,
        load_format="dummy",
        max_model_len=512,
        enforce_eager=True,
        block_size=32,
        num_gpu_blocks_override=64,
        max_num_batched_tokens=128,
    )
    told: dict[str, Any] = {"hooked": hooked(), "tokens": generate(llm), "after": []}
    told["processes"] = [type(each).__name__ for each in multiprocessing.active_children()]
    if how == "undo":
        from otel_llm.engines.vllm.instrument import uninstrument

        told["problems"] = [str(problem) for problem in uninstrument()]
        told["after"] = generate(llm)
        told["hooked_after"] = hooked()
    told["modules"] = sorted(name for name in sys.modules if name.startswith("otel_llm"))
    print(json.dumps(told))  # noqa: T201  read by the test


def generate(llm: Any) -> list[int]:  # noqa: ANN401  vLLM's LLM
    """Output tokens of each sequence of a batch with samples and a shared prefix."""
    from vllm import SamplingParams

    prompts = ["shared " * 10 + str(number) * number for number in range(1, 9)]
    params = SamplingParams(n=2, max_tokens=12, ignore_eos=True)
    outputs = llm.generate(prompts, params, use_tqdm=False)
    return [len(one.token_ids) for output in outputs for one in output.outputs]


def hooked() -> list[str]:
    """Methods of vLLM whose code is ours."""
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.core import EngineCore
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.engine.output_processor import OutputProcessor

    return [
        f"{owner.__name__}.{name}"
        for owner in (Scheduler, EngineCore, OutputProcessor, AsyncLLM, LLMEngine)
        for name, method in vars(owner).items()
        if "otel_llm" in getattr(getattr(method, "__code__", None), "co_filename", "")
    ]


def fork_on_a_cpu() -> None:
    """Let vLLM fork: on a CPU it sets the method to spawn whatever the user says."""
    from vllm.platforms import current_platform

    platform = type(current_platform)
    check = platform.check_and_update_config

    def then_fork(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        check(*args, **kwargs)
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"

    platform.check_and_update_config = staticmethod(then_fork)


if __name__ == "__main__":
    main()
