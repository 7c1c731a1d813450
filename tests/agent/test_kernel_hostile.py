"""Whatever true frames say, the agent goes on: rows fit their tables, the checkpoint its format."""

import msgspec
import numpy as np
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from otel_llm.agent.batches import make_batches
from otel_llm.agent.kernel_open import MOST_OPEN
from otel_llm.facts.joined import Joined
from otel_llm.kernels import records
from otel_llm.testing import collect_swallowed
from tests.agent.builders import WALL_NS
from tests.agent.rings import NAMES, Shim, joined, step_sums

NEAR = WALL_NS.to_bytes(8, "little")
NUMBERS = (b"\0" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 6 + b"\x7f", NEAR, b"\x01" + b"\0" * 7,
           b"\x05\0\0\0\x01\0\0\0")  # fmt: skip
WORDS = st.sampled_from(NUMBERS) | st.binary(min_size=8, max_size=8)


def words(count: int) -> st.SearchStrategy[bytes]:
    """So many numbers of 64 bits, odd ones more often than not."""
    return st.lists(WORDS, min_size=count, max_size=count).map(b"".join)


def rows(size: int) -> st.SearchStrategy[bytes]:
    """Some rows."""
    return st.lists(words(size // 8), max_size=5).map(b"".join)


def near(size: int) -> st.SearchStrategy[bytes]:
    """Some rows that begin now, of a kind that there is; all else is anything."""
    times = 8 if size == records.RAW_BYTES else 24
    kind_at = 27 if size == records.RAW_BYTES else 47

    def row(content: bytes, kind: int, key: bytes) -> bytes:
        made = bytearray(content)
        if size == records.RAW_BYTES:
            made[:8] = NEAR
        else:
            made[:8], made[16:times], made[24:32] = key, NEAR, NEAR
        made[kind_at] = kind
        return bytes(made)

    one = st.builds(row, words(size // 8), st.integers(1, 3), WORDS)
    return st.lists(one, min_size=1, max_size=6).map(b"".join)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=9) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
FIELDS = st.sampled_from(["engine", "dp_rank", "rank", "device", "device_number", "service"])
FRAMES = st.one_of(
    st.tuples(st.just(records.RAW), rows(records.RAW_BYTES)),
    st.tuples(st.just(records.STEPS), rows(records.AGGREGATE_BYTES)),
    st.tuples(st.just(records.RAW), near(records.RAW_BYTES)),
    st.tuples(st.just(records.STEPS), near(records.AGGREGATE_BYTES)),
    st.tuples(st.just(records.ANCHOR), words(4)),
    st.tuples(st.just(records.COUNTERS_KIND), words(len(records.COUNTERS))),
    st.tuples(st.just(records.STATE), words(2)),
    st.tuples(
        st.just(records.IDENTITY),
        st.dictionaries(FIELDS, JSON, max_size=3).map(msgspec.json.encode) | st.binary(max_size=20),
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(0, 1 << 63), max_size=3))
def test_any_content(frames: list[tuple[int, bytes]], asked: list[int]) -> None:
    """No error is swallowed, every row can be stored, and the state can be saved and taken up."""
    shim = Shim()
    shim.anchor()
    for kind, payload in frames:
        shim.add(kind, payload)
    join = joined(every=2)
    with collect_swallowed() as swallowed:
        facts: list[Joined] = join.feed(shim.frames, NAMES)
        for seq in asked:
            places = join.keep(seq, "slow")
            again = [one for one in shim.frames if one.at in places]
            facts += join.keep_from(seq, "slow", again, NAMES) if again else []
        saved = [(kind, key, body) for kind, key, body in join.changes() if body is not None]
        other = joined(every=2)
        other.restore(saved)
        facts += [*other.feed(shim.frames, NAMES), *join.end()]
        make_batches(facts, "boot-1")
    event(f"{len(facts) > 0}")
    assert swallowed == []
    assert len(join._open) <= MOST_OPEN


def test_counts_fit_their_columns() -> None:
    """Two rows of one class that each count all that 32 bits hold."""
    shim = Shim()
    shim.anchor()
    rows_of = np.zeros(2, np.dtype(records.AGGREGATE_FIELDS))
    rows_of["key"], rows_of["name"], rows_of["device"], rows_of["kind"] = 1, 1, (0, 0), 1
    rows_of["count"], rows_of["first_ns"], rows_of["last_ns"] = 2**32 - 1, WALL_NS, WALL_NS
    shim.add(records.STEPS, rows_of.tobytes())
    facts = shim.told()
    assert [fact.kernels for fact in step_sums(facts)] == [[2**32 - 1]]
    make_batches(facts, "boot-1")
