"""Parts of a page's lines."""

from prometheus_client.utils import floatToGoString


def number(value: float) -> str:
    """A number as Go writes it."""
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]


def spaced(text: str) -> str:
    """A text that may stand in a line."""
    return text.replace("\\", r"\\").replace("\n", r"\n")


def escaped(text: str) -> str:
    """A text that may stand in quotes."""
    return spaced(text).replace('"', r"\"")
