"""Members' parts of steps, for steps whose energy is joined in the store."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from otel_llm.agent.energy.engines import Engine, Timed
from otel_llm.agent.energy.flat import flat
from otel_llm.agent.energy.loads import Basis, parted
from otel_llm.facts.joined import Joined, JoinedStep

WHOLE = 1_000_000
"""What the parts of a step add up to."""


def of_split_engines(facts: Sequence[Joined]) -> Iterator[tuple[list[int], list[JoinedStep]]]:
    """Steps of each engine that has more workers than devices of its own, and where they stand."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    steps: defaultdict[str, list[JoinedStep]] = defaultdict(list)
    for place, fact in enumerate(facts):
        if type(fact) is JoinedStep and fact.producer.ranks > len(fact.producer.devices):
            places[fact.producer.instance_id].append(place)
            steps[fact.producer.instance_id].append(fact)
    return ((places[name], steps[name]) for name in places)


def with_parts(
    facts: Sequence[JoinedStep], engine: Engine, basis: Basis | None
) -> list[JoinedStep]:
    """Steps of an engine, each with what part of it is each member's.

    Args:
        facts: the steps.
        engine: whose.
        basis: what work is reckoned with; tokens if None.
    """
    timed = [Timed(fact, 0, 0, known=True) for fact in facts]
    flats = flat(engine, timed)
    found = parted(flats, basis)
    ends = np.cumsum(flats.counts)
    result = []
    for fact, begin, end in zip(facts, (ends - flats.counts).tolist(), ends.tolist(), strict=True):
        # Rounded where members meet, so that they add up.
        marks = np.rint(np.cumsum(found.share[begin:end]) * WHOLE).astype(np.int64)
        parts = np.diff(marks, prepend=0).tolist()
        result.append(msgspec.structs.replace(fact, parts=parts))
    return result
