"""Where this process runs, found without privileges: environment and readable files alone."""

from otel_llm.identity.detect import detect, survey

__all__ = ["detect", "survey"]
