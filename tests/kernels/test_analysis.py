"""Sums over steps, held against a bitmap that looks at every nanosecond."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.kernels.analysis import Steps, analyse
from otel_llm.kernels.classes import classifier
from tests.kernels.builders import NAMES, One, kernels

CLASSES = classifier().classes
CLASS_OF = np.array([CLASSES.index(classifier()(name)) for name in NAMES])
MANY = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 1),
        st.integers(0, 2),
        st.integers(0, 40),
        st.integers(0, 12),
        st.one_of(st.none(), st.integers(0, 45)),
    ),
    max_size=14,
)


def steps(ones: list[One]) -> Steps:
    """What the analysis says."""
    return analyse(kernels(ones), CLASS_OF, CLASSES)


def told(found: Steps, number: int) -> dict[str, Any]:
    """One group of it."""
    part = slice(found.first[number], found.first[number + 1])
    return {
        "step": found.step[number],
        "device": found.device[number],
        "start": found.start_ns[number],
        "span": found.span_ns[number],
        "busy": found.busy_ns[number],
        "launch": found.launch_gap_ns[number],
        "wait": found.wait_gap_ns[number],
        "overlap": found.overlap_ns[number],
        "classes": {
            CLASSES[kind]: (count, total)
            for kind, count, total in zip(
                found.kind[part], found.kernels[part], found.kernel_ns[part], strict=True
            )
        },
    }


def oracle(step: int, device: int, ones: list[One]) -> dict[str, Any]:
    """The same, by looking at each nanosecond of one group."""
    begin = min(one[3] for one in ones)
    end = max(one[3] + one[4] for one in ones)
    result: dict[str, Any] = {
        "step": step, "device": device, "start": begin, "span": end - begin, "busy": 0,
        "launch": 0, "wait": 0, "overlap": 0, "classes": {},
    }  # fmt: skip
    for now in range(begin, end):
        running = [one for one in ones if one[3] <= now < one[3] + one[4]]
        names = {one[2] for one in running}
        result["busy"] += bool(running)
        result["overlap"] += {0, 1} <= names
        if not running:
            _look_into_gap(now, ones, result)
    for one in ones:
        kind = CLASSES[CLASS_OF[one[2]]]
        count, total = result["classes"].get(kind, (0, 0))
        result["classes"][kind] = (count + 1, total + one[4])
    return result


def _look_into_gap(now: int, ones: list[One], result: dict[str, Any]) -> None:
    # A kernel of no length ends a gap as any other does: the next start decides.
    later = [one for one in ones if one[3] > now]
    following = min(one[3] for one in later)
    enders = [one for one in ones if one[3] == following]
    if enders[0][5] is None:
        return
    launched = [one[3] if one[5] is None else one[5] for one in later]
    result["wait" if min(launched) <= now else "launch"] += 1


@settings(deadline=None)
@given(MANY)
def test_as_seen_nanosecond_by_nanosecond(ones: list[One]) -> None:
    """Spans, busy time, both kinds of gap, overlap and sums are those of a bitmap."""
    ones = sorted(ones, key=lambda one: one[3])
    found = steps(ones)
    groups: dict[tuple[int, int], list[One]] = {}
    for one in ones:
        groups.setdefault((one[0], one[1]), []).append(one)
    expected = [oracle(*key, groups[key]) for key in sorted(groups)]
    assert [told(found, number) for number in range(len(found.step))] == expected


@settings(deadline=None)
@given(MANY, st.randoms(use_true_random=False))
def test_order_does_not_matter(ones: list[One], dice: Any) -> None:  # noqa: ANN401
    """Kernels may come in any order, as they do from several streams. Ties keep theirs."""
    ones = [(*one[:3], one[3] * 20 + number, *one[4:]) for number, one in enumerate(ones)]
    mixed = list(ones)
    dice.shuffle(mixed)
    for one, other in zip(steps(ones), steps(mixed), strict=True):
        assert np.array_equal(one, other)


@settings(deadline=None)
@given(MANY)
def test_parts_make_the_whole(ones: list[One]) -> None:
    """Busy time and gaps never exceed the span; they fill it where all launches are known."""
    known = [(*one[:5], one[5] or 0) for one in ones]
    found = steps(known)
    whole = found.busy_ns + found.launch_gap_ns + found.wait_gap_ns
    assert np.array_equal(whole, found.span_ns)
    partly = steps(ones)
    assert (partly.busy_ns + partly.launch_gap_ns + partly.wait_gap_ns <= partly.span_ns).all()


def test_graph_replay() -> None:
    """All kernels of a graph share its launch: gaps between them are waiting, none launch-bound."""
    [found] = [told(steps([(1, 0, 0, 100 + 20 * n, 15, 90) for n in range(3)]), 0)]
    assert (found["span"], found["busy"]) == (55, 45)
    assert (found["launch"], found["wait"]) == (0, 10)


def test_late_host() -> None:
    """A device that waits for its host is launch-bound until the call, and waiting after it."""
    [found] = [told(steps([(1, 0, 0, 0, 10, 0), (1, 0, 0, 50, 10, 42)]), 0)]
    assert (found["launch"], found["wait"]) == (32, 8)


def test_clock_error() -> None:
    """A launch stamped after its kernel began makes no gap longer than it is."""
    [found] = [told(steps([(1, 0, 0, 0, 10, 0), (1, 0, 0, 50, 10, 99)]), 0)]
    assert (found["launch"], found["wait"]) == (40, 0)


def test_nothing() -> None:
    """No kernels, no steps."""
    assert [len(column) for column in steps([])] == [0] * 8 + [1] + [0] * 3


def test_the_largest_stamps() -> None:
    """Stamps near 2**62 and a step of a year do not overflow."""
    far = 1 << 61
    found = steps([(1, 0, 0, 0, 10, None), (1, 0, 1, far, 10, None), (2, 1, 0, far, 1 << 46, None)])
    assert found.span_ns.tolist() == [far + 10, 1 << 46]
    assert found.busy_ns.tolist() == [20, 1 << 46]
