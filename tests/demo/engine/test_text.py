"""Tokens to text, with stop texts cut off wherever chunks happen to end."""

from hypothesis import given
from hypothesis import strategies as st

from otel_llm.demo.engine.call import Output
from otel_llm.demo.engine.sequence import Sampling, Sequence
from otel_llm.demo.engine.text import TextOfSample
from otel_llm.demo.engine.tokenizer import BOS, END, EOS, ROLE, decode, encode, encode_chat


def test_text_comes_back_from_its_tokens() -> None:
    """UTF-8 survives; special tokens have no text."""
    assert decode([*encode("naïve 文"), EOS, END]) == "naïve 文"


def test_a_conversation_ends_where_the_assistant_is_to_speak() -> None:
    """Each message is framed by special tokens that no text can contain."""
    assert encode_chat([("user", "hi")]) == [
        *(BOS, ROLE, *b"user\nhi", END, ROLE, *b"assistant\n"),
    ]


@given(
    text=st.text("ab", min_size=1, max_size=30),
    stop=st.lists(st.text("ab", min_size=1, max_size=3), max_size=2),
    cuts=st.lists(st.integers(1, 4), min_size=30, max_size=30),
)
def test_streamed_text_is_the_text_before_the_first_stop(
    text: str, stop: list[str], cuts: list[int]
) -> None:
    """However tokens are grouped into chunks, nothing of a stop text is ever sent."""
    sequence = Sequence("a", [BOS], Sampling(len(text), stop=tuple(stop)))
    outputs = []
    for character in text:
        sequence.append(ord(character))
        outputs.append(Output(0, ord(character), sequence.finish_reason))
        if sequence.finish_reason is not None:
            break
    subject = TextOfSample(tuple(stop))
    sent = ""
    while outputs:
        size = cuts.pop()
        sent += subject.push(outputs[:size])
        outputs = outputs[size:]
    ends = [text.find(each) + len(each) for each in stop if each in text]
    expected = text[: min(ends, default=len(text))]
    if ends:
        matching = [each for each in stop if expected.endswith(each)]
        expected = expected[: -max(map(len, matching))]
    assert sent == expected
