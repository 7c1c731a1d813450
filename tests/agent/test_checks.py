"""Rules as functions: a record's one check says what the checks of its fields say."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from otel_llm.agent import _native
from otel_llm.agent.checks import FIELD_CHECKS, HOLDS, SHAPE_CHECKS
from otel_llm.agent.rules import ARRAYS, MAX_ITEMS
from otel_llm.facts import Producer
from otel_llm.journal.records import KINDS

Scalars = dict[type, st.SearchStrategy[Any]]

WITHIN: Scalars = {
    int: st.integers(1, 1_000),
    str: st.sampled_from(["stop", "e" * 32, "e" * 16]),
    bytes: st.sampled_from([b"\1", b"\0\1"]),
    bool: st.just(value=False),
    float: st.floats(1, 8),
}
EDGES = [bits + off for bits in (0, 1 << 16, 1 << 32, 1 << 61, 1 << 63) for off in (-1, 0, 1)]
HOSTILE: Scalars = {
    int: st.sampled_from(EDGES) | st.integers(-(1 << 63), (1 << 64) - 1) | st.booleans(),
    str: st.text(max_size=4)
    | st.sampled_from(["x" * 257, "é" * 256, "x" * 2_049, "x" * 4_097, "0" * 32, "E" * 32]),
    bytes: st.binary(max_size=4),
    bool: st.booleans(),
    float: st.floats(),
}


@given(
    st.lists(st.sampled_from(EDGES) | st.integers(-5, 5), max_size=4), st.sampled_from(EDGES[1:])
)
def test_numbers_within_a_top(numbers: list[int], top: int) -> None:
    """As Python would say it, whatever their size."""
    top = min(top, (1 << 63) - 1)
    assert _native.within(numbers, top) == all(0 <= number <= top for number in numbers)


def test_what_is_no_list_of_numbers_is_refused() -> None:
    """By its type, and by what is in it."""
    for wrong in ((1, 2), [1, "2"], [None]):
        with pytest.raises(TypeError):
            _native.within(wrong, 5)  # type: ignore[arg-type]


def values(kind: msgspec.inspect.Type, scalars: Scalars) -> st.SearchStrategy[Any]:
    """Values that may stand in a field of this type, as they are in a journal."""
    types = msgspec.inspect
    match kind:
        case types.UnionType():
            return st.one_of([values(one, scalars) for one in kind.types])
        case types.ListType() | types.CollectionType():
            return st.lists(values(kind.item_type, scalars), max_size=2)
        case types.StructType():
            fields = {field.name: values(field.type, scalars) for field in kind.fields}
            return st.tuples(*fields.values()) if kind.array_like else st.fixed_dictionaries(fields)
        case types.LiteralType():
            return st.sampled_from(kind.values)
        case types.NoneType():
            return st.none()
    name = type(kind).__name__.removesuffix("Type").lower()
    return next(made for scalar, made in scalars.items() if scalar.__name__ == name)


@st.composite
def mostly_sound(draw: st.DrawFn, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """A record as it may be read from a journal, of which two fields hold anything at most."""
    info: Any = msgspec.inspect.type_info(kind)
    hostile = draw(st.sets(st.integers(0, len(info.fields) - 1), max_size=2))
    made = {
        field.name: draw(values(field.type, HOSTILE if place in hostile else WITHIN))
        for place, field in enumerate(info.fields)
    }
    try:
        return msgspec.convert(list(made.values()) if info.array_like else made, kind)
    except msgspec.ValidationError:
        return reject()


@pytest.mark.parametrize("kind", [*KINDS.values(), Producer], ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_one_check_says_what_all_say(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    """Whatever its fields hold: no record is let through or mended that would not be by fields."""
    record = data.draw(mostly_sound(kind))
    each = [holds(getattr(record, field)) for field, holds, _ in FIELD_CHECKS[kind]]
    fits = all(each) and all(holds(record) for holds, _ in SHAPE_CHECKS.get(kind, ()))
    assert HOLDS[kind](record) == fits


@pytest.mark.parametrize("kind", ARRAYS, ids=lambda kind: kind.__name__)
def test_arrays_are_bounded_first(kind: type[msgspec.Struct]) -> None:
    """Nothing of a record is looked at while one of its arrays is too long."""
    for name in ARRAYS[kind]:
        long = dict.fromkeys(kind.__struct_fields__) | dict.fromkeys(ARRAYS[kind], ())
        assert not HOLDS[kind](kind(**long | {name: range(MAX_ITEMS + 1)}))
