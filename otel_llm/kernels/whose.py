"""Whose kernels a ring holds: what a worker's hook tells the shim, and the agent reads."""

from typing import Annotated

import msgspec
from msgspec import Meta

Small = Annotated[int, Meta(ge=0, le=65_000)]


class Whose(msgspec.Struct, frozen=True):
    """The engine, rank and device of one worker, as JSON in a ring's IDENTITY records.

    Attributes:
        engine: instance id of the engine whose steps the worker runs; 32 hex digits.
        dp_rank: the engine's data-parallel rank.
        rank: the worker's rank in its engine.
        device: UUID of its device; empty if not known.
        device_number: the device's number in the worker's process, as CUPTI names it.
        software: engine software, for example `vllm`.
        version: its version.
        model: served model.
        service: name of the deployment.
    """

    engine: str = ""
    dp_rank: Small = 0
    rank: Small = 0
    device: str = ""
    device_number: Small = 0
    software: str = ""
    version: str = ""
    model: str = ""
    service: str = ""
