"""A sample's text as its tokens come, with stop texts cut off."""

from collections.abc import Sequence as Seq

from otel_llm.demo.engine.call import Output
from otel_llm.demo.engine.tokenizer import decode


class TextOfSample:
    """Turns tokens into text that may be sent.

    What could be the start of a stop text is held back until it is known not to be one.

    Args:
        stop: texts that end the sample and are not part of its text.

    Attributes:
        empty: whether nothing was pushed yet.
    """

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._stop = stop
        self._hold = max(map(len, stop), default=1) - 1
        self._held = ""
        self.empty = True

    def push(self, outputs: Seq[Output]) -> str:
        """Take in outputs; return the text that may now be sent."""
        self.empty = False
        text = self._held + decode([each.token for each in outputs if each.token is not None])
        if outputs[-1].finish_reason is None:
            cut = max(0, len(text) - self._hold)
            self._held = text[cut:]
            return text[:cut]
        self._held = ""
        if outputs[-1].finish_reason == "stop":
            return min((text.removesuffix(stop) for stop in self._stop), key=len, default=text)
        return text
