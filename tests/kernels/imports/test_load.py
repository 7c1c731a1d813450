"""Profiles as files: what is read of them, and how bad ones are refused."""

import gzip
import io
import json
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.errors import ProfileError
from otel_llm.kernels.columns import UNKNOWN
from otel_llm.kernels.imports import stream
from otel_llm.kernels.imports.kineto import STEP_MARK, read_kineto
from otel_llm.kernels.imports.load import instance_of, load
from otel_llm.kernels.imports.profile import MOST_NAME, Profile
from tests.kernels.imports.traces import GEMM, NCCL, T0_US, event, nsys_export, trace, two_steps


def kineto(text: str) -> Profile:
    """A trace of this text."""
    return read_kineto(io.BytesIO(text.encode()), re.compile(STEP_MARK))


def test_kineto() -> None:
    """Kernels come with exact times, the step that launched them and the call that did."""
    profile = kineto(trace(two_steps(), distributedInfo={"rank": 3}, host_name="node-1"))
    kernels = profile.kernels
    assert [kernels.names[name] for name in kernels.name] == [
        GEMM, NCCL, "Memcpy DtoD (Device -> Device)", GEMM, GEMM,
    ]  # fmt: skip
    assert kernels.start_ns[0] == T0_US * 1000 + 20_123
    assert kernels.duration_ns.tolist() == [10_500, 10_500, 1_000, 2_000, 2_000]
    assert kernels.step.tolist() == [11, 11, 11, 12, 0]
    assert kernels.launch_ns.tolist()[0] == T0_US * 1000 + 10_001
    assert kernels.launch_ns.tolist()[4] == UNKNOWN
    assert (profile.rank, profile.host, profile.steps) == (3, "node-1", 2)
    assert profile.offset_ns == 0
    assert not profile.dropped


def test_times_after_a_base() -> None:
    """Newer files count microseconds after `baseTimeNanoseconds`."""
    profile = kineto(trace([event("kernel", GEMM, "5.001", "1")], baseTimeNanoseconds=1 << 60))
    assert (profile.kernels.start_ns[0], profile.offset_ns) == (5_001, 1 << 60)


@settings(deadline=None)
@given(st.integers(1, 200))
def test_any_chunk(size: int) -> None:
    """Wherever a chunk ends, in a number or in a name, the same kernels are read."""
    events = [*two_steps(), event("kernel", "ünïcode", f"{T0_US}", "1.5")]
    text = trace(events, baseTimeNanoseconds=123_456_789)
    whole, patch = kineto(text), pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(stream, "CHUNK", size)
        parts = kineto(text)
    assert whole.offset_ns == parts.offset_ns == 123_456_789
    assert whole.kernels.names == parts.kernels.names
    assert whole.kernels.start_ns.tolist() == parts.kernels.start_ns.tolist()


def test_bare_list_and_gzip(tmp_path: Path) -> None:
    """A bare list of events is a trace as well, and gzip is seen by its first bytes."""
    (tmp_path / "t.json").write_bytes(gzip.compress(f"[{','.join(two_steps())}]".encode()))
    assert len(load(tmp_path / "t.json").kernels) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cut off"),
        ("hello", "neither an object nor a list"),
        ('{"a": 1}', "no list traceEvents"),
        ('{"traceEvents": 7}', "no list traceEvents"),
        (trace([]), "no kernel"),
        (trace([event("cpu_op", "aten::mm", "1", "1")]), "no kernel"),
        (trace(two_steps())[:-900], "cut off"),
        ('{"traceEvents": [{"ph": "X", nonsense}]}', "no JSON trace at"),
        ("[" * 100_000, "no JSON trace at"),
        (trace([event("kernel", GEMM, "5", "-1")]), "negative"),
    ],
)  # fmt: skip
def test_bad_traces(text: str, message: str) -> None:
    """A file that is no trace, is cut off or has no kernels is refused, and why is said."""
    with pytest.raises(ProfileError, match=re.escape(message)):
        kineto(text)


def test_every_cut_is_noticed() -> None:
    """A trace cut off at any place is refused, never read in part."""
    text = trace(two_steps()).rstrip()
    for end in range(0, len(text) - 1, 7):
        with pytest.raises(ProfileError):
            kineto(text[:end])


def test_bad_kernels_are_counted() -> None:
    """Negative and absurd times and malformed events are left out, long names cut; all counted."""
    good = event("kernel", GEMM, f"{T0_US}.000", "1")
    bad = [
        event("kernel", GEMM, f"{T0_US}", "-3"),
        event("kernel", GEMM, "-5.5", "1"),
        event("kernel", GEMM, "1e300", "1"),
        event("kernel", GEMM, "9" * 18, "1"),
        event("kernel", GEMM, f"{T0_US}", "1e15"),
        event("kernel", GEMM, "NaN", "1"),
        event("kernel", GEMM, '"now"', "1"),
        event("kernel", "n" * 10_000, f"{T0_US}", "1"),
        event("kernel", GEMM, f"{T0_US}", "1", stream=1 << 70),
        event("kernel", GEMM, f"{T0_US}", "1", correlation="x"),
        "17",
    ]
    profile = kineto(trace([good, *bad]))
    assert dict(profile.dropped) == {"negative": 1, "absurd": 3, "malformed": 6, "name_cut": 1}
    assert len(profile.kernels) == 2
    assert max(map(len, profile.kernels.names)) == MOST_NAME


def test_memory_does_not_follow_the_file() -> None:
    """Events that are no kernels pass through: 40 MB of them take less than 12 MB."""
    filler = event("cpu_op", "aten::" + "x" * 400, "1.5", "1.5").encode()

    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.parts = [b"[", *[filler + b","] * 80_000, event("kernel", GEMM, "5", "1").encode()]
            self.parts[-1] += b"]"
            self.place = 0

        def read(self, size: int = -1) -> bytes:
            take = b"".join(self.parts[self.place : self.place + max(1, size // len(filler))])
            self.place += max(1, size // len(filler))
            return take

    source = Endless()
    tracemalloc.start()
    read_kineto(source, re.compile(STEP_MARK))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_nsys(tmp_path: Path, old: bool) -> None:
    """An export is read with the columns it has; a graph's kernels share the launch's step."""
    profile = load(nsys_export(tmp_path / "p.sqlite", old=old), r"step (\d+)")
    kernels = profile.kernels
    assert [kernels.names[name] for name in kernels.name] == [GEMM, GEMM, "Memcpy DtoD", "Memset"]
    assert kernels.step.tolist() == [1, 1, 2, 0]
    assert kernels.launch_ns.tolist()[:2] == [1_500, 1_500]
    assert kernels.launch_ns.tolist()[3] == UNKNOWN
    assert profile.offset_ns == (None if old else 1_795_000_000_000_000_000)
    assert profile.host == ("" if old else "gpu-node")


def test_bad_exports(tmp_path: Path) -> None:
    """A database that is none, is cut off or holds no kernels is refused."""
    whole = nsys_export(tmp_path / "whole.sqlite").read_bytes()
    (tmp_path / "cut.sqlite").write_bytes(whole[:5000])
    (tmp_path / "head.sqlite").write_bytes(whole[:100])
    for name in ("cut", "head"):
        with pytest.raises(ProfileError):
            load(tmp_path / f"{name}.sqlite")


def test_bad_files(tmp_path: Path) -> None:
    """A cut gzip, a file that is not there and a bad step mark are refused with their names."""
    packed = gzip.compress(trace(two_steps()).encode())
    (tmp_path / "t.gz").write_bytes(packed[:-20])
    for path, mark in ((tmp_path / "t.gz", STEP_MARK), (tmp_path / "no", STEP_MARK)):
        with pytest.raises(ProfileError, match=path.name):
            load(path, mark)
    with pytest.raises(ProfileError, match="step-mark"):
        load(tmp_path / "t.gz", "(")


def test_instance_is_the_content(tmp_path: Path) -> None:
    """Copies of a file have one id, another file has another."""
    for name, text in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name).write_text(json.dumps(text))
    a, b, c = (instance_of(tmp_path / name) for name in "abc")
    assert a == b != c
    assert re.fullmatch("[0-9a-f]{32}", a)
