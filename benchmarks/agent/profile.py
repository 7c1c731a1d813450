"""Where the agent's time goes: its loop over journals of a few seconds, under a profiler."""

import cProfile
import pstats
import tempfile

from benchmarks.agent.load import Load
from benchmarks.agent.loop import POLLS, Loop
from otel_llm.agent.run import collect_seldom

MOST = 25


def profile(load: Load, seconds: int = 4) -> list[dict[str, object]]:
    """Functions by own time, most first, in milliseconds per second of load."""
    collect_seldom()
    profiler = cProfile.Profile()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        loop = Loop(load, folder)
        for poll in range(POLLS * (seconds + 1)):
            loop.write()
            if poll >= POLLS:  # the first second has imports in it
                profiler.enable()
            loop.take()
            profiler.disable()
        loop.close()
    return _ranked(profiler, seconds)


def _ranked(profiler: cProfile.Profile, seconds: int) -> list[dict[str, object]]:
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]  typeshed leaves it out
    rows = sorted(((own, where) for where, (_, _, own, _, _) in stats.items()), reverse=True)
    return [
        {"where": _named(where), "ms_per_s": round(own * 1000 / seconds, 1)}
        for own, where in rows[:MOST]
    ]


def _named(where: tuple[str, int, str]) -> str:
    path, _, name = where
    if "otel_llm" not in path:
        return name
    return f"{path.partition('otel_llm/')[2]}: {name}"
