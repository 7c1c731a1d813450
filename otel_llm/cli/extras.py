"""Says which packages to install where a command needs more than the engine does."""

from collections.abc import Iterator
from contextlib import contextmanager

from otel_llm.errors import MissingExtraError


@contextmanager
def needs(feature: str, extra: str) -> Iterator[None]:
    """Turn a failed import of somebody else's package into advice.

    Args:
        feature: what needs it, as the beginning of a sentence.
        extra: the extra of `otel-llm` that brings it.

    Raises:
        MissingExtraError: a package outside of otel-llm is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "otel_llm":
            raise
        raise MissingExtraError(feature, extra) from error
