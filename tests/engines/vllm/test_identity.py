"""From vLLM's ids back to the call, whatever its caller named it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.engines.vllm.identity import (
    KINDS,
    MEMBER,
    RESPONSES,
    Call,
    Identity,
    Kind,
    Origin,
    identify,
    put,
    take,
)

BEAM = "-0123456789abcdef-beam-3"

# Each row: external id, base that the serving class noted, id that the caller sees, operation.
SERVED = [
    ("cmpl-X-0", "X", "cmpl-X", "text_completion"),
    ("cmpl-abc-1-0", "abc-1", "cmpl-abc-1", "text_completion"),
    ("cmpl-X" + BEAM, "X", "cmpl-X", "text_completion"),
    ("cmpl-X" + BEAM + "-0", "X" + BEAM, "cmpl-X" + BEAM, "text_completion"),
    ("chatcmpl-X", "X", "chatcmpl-X", "chat"),
    ("chatcmpl-abc_0", "abc_0", "chatcmpl-abc_0", "chat"),
    ("chatcmpl-abc_0", "abc", "chatcmpl-abc", "chat"),
    ("chatcmpl-abc_0_1", "abc_0", "chatcmpl-abc_0", "chat"),
    ("chatcmpl-abc_0" + BEAM, "abc_0", "chatcmpl-abc_0", "chat"),
    ("chatcmpl-", "", "chatcmpl-", "chat"),
    ("generate-tokens-X-1", "X-1", "generate-tokens-X-1", "text_completion"),
    ("transcribe-X", "X", "transcribe-X", "transcription"),
    ("transcribe-X-2", "X", "transcribe-X", "transcription"),
    ("transcribe-X-lang_detect", "X", "transcribe-X", "transcription"),
    ("translate-X-2-1", "X-2", "translate-X-2", "translation"),
    ("embd-X-0", "X", "embd-X", "embeddings"),
    ("embd-X-prompt-1-chunk-2", "X", "embd-X", "embeddings"),
    ("classify-X-0", "X", "classify-X", "classify"),
    ("score-X-0", "X", "score-X", "score"),
    ("late-interaction-0123456789abcdef-doc-4", "X", "score-X", "score"),
    ("pooling-X-0", "X", "pooling-X", "pooling"),
    ("generative-scoring-X-0", "X", "generative-scoring-X", "score"),
    ("decision-X-0", "X", "decision-X", "decision"),
]


@pytest.mark.parametrize(("external", "base", "api", "operation"), SERVED)
def test_served(external: str, base: str, api: str, operation: str) -> None:
    """With the base that the serving class noted, the id is exact, however odd the base."""
    found = identify(external, Call(base))
    assert (found.api_request_id, found.operation) == (api, operation)


PARTS = {
    r"(_\d+)?": ["", "_0", "_17"],
    r"(-\d+)?": ["", "-0", "-17"],
    r"(-\d+|-lang_detect)?": ["", "-3", "-lang_detect"],
    r"(-prompt-\d+-chunk)?-\d+": ["-0", "-prompt-3-chunk-1"],
    r"-\d+": ["-0", "-17"],
    r"_\d+": ["_0", "_17"],
    "": [""],
}


@given(st.sampled_from(KINDS), st.data(), st.text(st.sampled_from("ab0-_"), max_size=12))
def test_every_kind(kind: Kind, data: st.DataObject, base: str) -> None:
    """Every part of every kind is told apart from the base, also where the base looks like one."""
    part = data.draw(st.sampled_from(PARTS[kind.part]))
    beam = BEAM if kind.beams and data.draw(st.booleans()) else ""
    found = identify(kind.prefix + base + part + beam, Call(base))
    assert found == Identity(kind.prefix + base, kind.operation, 3 if beam else None)


# Each row: external id, what stands alone, operation.
UNSERVED = [
    ("cmpl-abc-1-0", "cmpl-abc-1", "text_completion"),
    ("cmpl-abc" + BEAM, "cmpl-abc", "text_completion"),
    ("chatcmpl-abc_0", "chatcmpl-abc_0", "chat"),
    ("chatcmpl-abc_0" + BEAM, "chatcmpl-abc_0", "chat"),
    ("resp_12_0", "resp_12", "chat"),
    ("embd-1-prompt-1-chunk-2", "embd-1", "embeddings"),
    ("rt-ws-1-2", "rt-ws-1-2", "transcription"),
    ("cmpl-abc", "cmpl-abc", "text_completion"),
    ("17", "17", "text_completion"),
    ("my-own-0", "my-own-0", "text_completion"),
]


@pytest.mark.parametrize(("external", "api", "operation"), UNSERVED)
@pytest.mark.parametrize("call", [None, Call(), Call("another call's"), Call("ab")])
def test_unserved(external: str, api: str, operation: str, call: Call | None) -> None:
    """Without a note that fits, only what a kind always adds is taken off."""
    found = identify(external, call)
    assert (found.api_request_id, found.operation) == (api, operation)


@pytest.mark.parametrize("chosen", ["resp_1", "mine_7", "cmpl-mine-0"])
def test_responses(chosen: str) -> None:
    """A caller of the Responses API names the whole id; each turn has a number behind it."""
    assert identify(f"{chosen}_0", RESPONSES) == Identity(chosen, "chat")
    assert identify(f"{chosen}_12", RESPONSES) == Identity(chosen, "chat")


def test_rerank_and_score_differ_by_path() -> None:
    """Both name their sequences alike; the path tells them apart."""
    for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
        assert identify("score-X-1", Call("X", path)) == Identity("score-X", "rerank")
    assert identify("score-X-1", Call("X", "/v1/score")).operation == "score"


@pytest.mark.parametrize(
    ("task", "operation"),
    [
        (None, "text_completion"),
        ("embed", "embeddings"),
        ("token_embed", "embeddings"),
        ("classify", "classify"),
        ("token_classify", "classify"),
        ("plugin", "pooling"),
        ("", "pooling"),
    ],
)
def test_library_use(task: str | None, operation: str) -> None:
    """Without an API server the task tells the operation; a method of `LLM` may know better."""
    assert identify("0", None, task) == Identity("0", operation)
    assert identify("0", Call(operation="chat"), task) == Identity("0", "chat")
    beams = Call(api_request_id="beam-1")
    assert identify("7", beams, task) == Identity("beam-1", operation)


ORIGIN = Origin("f" * 32, 'chatcmpl-"\N{SNOWMAN}', "chat", "m", 1, 4)
HEADERS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)


@given(HEADERS)
def test_our_member_leaves_no_trace(headers: dict[str, str]) -> None:
    """What is put in is taken out, and the caller's headers are as before."""
    before = dict(headers)
    assert take(put(headers, ORIGIN)) == (ORIGIN, headers or None)
    assert headers == before
    assert take(headers) == (None, headers or None)


def test_no_headers() -> None:
    """Without trace headers our member stands alone, and nothing is left of it."""
    assert set(put(None, ORIGIN)) == {MEMBER}
    assert take(put(None, ORIGIN)) == (ORIGIN, None)
    assert take(None) == (None, None)


@pytest.mark.parametrize("value", ["", "{}", "[1,2]", "no json", '["only one"]'])
def test_a_member_of_somebody_else(value: str) -> None:
    """A member that cannot be read counts as none, and is taken out all the same."""
    assert take({MEMBER: value, "traceparent": "t"}) == (None, {"traceparent": "t"})


def test_a_beam_of_too_many_digits() -> None:
    """Whatever a caller chose as its id, reading it does not fail."""
    chosen = f"cmpl-x-{'a' * 16}-beam-{'9' * 5000}"
    assert identify(chosen).beam is None
    assert identify(chosen, Call("x")).beam is None
