"""What a call should have reached, and which part of it the call missed first."""

from typing import Literal, NamedTuple

from otel_llm.facts.gateway import GatewayCall
from otel_llm.settings import Settings

Missed = Literal["none", "outcome", "ttft", "tpot", "duration"]

CALLERS_FAULTS = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 422})
"""Statuses by which the caller learns that its own request was wrong."""


class Targets(NamedTuple):
    """Longest times of a good call, in seconds; 0 is no target.

    Attributes:
        ttft_s: from receiving the call to its first content chunk; streams only.
        tpot_s: mean time per output token after the first; streams whose answer told its usage.
        duration_s: from receiving the call to its last byte.
    """

    ttft_s: float = 0.0
    tpot_s: float = 0.0
    duration_s: float = 0.0

    @classmethod
    def of(cls, settings: Settings) -> "Targets":
        """The targets that the settings name."""
        return cls(settings.target_ttft_s, settings.target_tpot_s, settings.target_duration_s)

    def missed(self, call: GatewayCall) -> Missed | None:
        """The first target that an ended call missed.

        A target that cannot be told of a call is not held against it: the TTFT of an answer in one
        piece, the TPOT of a stream without usage.

        Returns:
            `none` if it met all; None if it is not measured, because the caller gave it up or had
            asked for something wrong.
        """
        if call.outcome == "cancelled" or call.status_code in CALLERS_FAULTS:
            return None
        if call.outcome != "finished":
            return "outcome"
        if _over(_ttft_s(call), self.ttft_s):
            return "ttft"
        if _over(_tpot_s(call), self.tpot_s):
            return "tpot"
        if _over((call.finished_ns - call.arrival_ns) / 1e9, self.duration_s):
            return "duration"
        return "none"


def _over(took_s: float | None, target_s: float) -> bool:
    return took_s is not None and 0 < target_s < took_s


def _ttft_s(call: GatewayCall) -> float | None:
    if not call.stream or call.first_content_ns is None:
        return None
    return (call.first_content_ns - call.arrival_ns) / 1e9


def _tpot_s(call: GatewayCall) -> float | None:
    first_ns, last_ns, tokens = call.first_content_ns, call.last_content_ns, call.output_tokens
    if not call.stream or first_ns is None or last_ns is None or tokens is None or tokens < 2:
        return None
    return (last_ns - first_ns) / (tokens - 1) / 1e9
