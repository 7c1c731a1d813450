"""What part of the store a question looks at."""

import msgspec

from otel_llm.clock import EpochNs


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time and, where asked for, a part of what happened in it.

    Attributes:
        since_ns: not before this, in wall nanoseconds.
        until_ns: before this, in wall nanoseconds.
        every_ns: cut into stretches that begin at multiples of this; 0 for one stretch.
        service, tenant, model: these alone; empty for all.
        limit: most rows. Of several stretches the newest come first.
    """

    since_ns: EpochNs
    until_ns: EpochNs
    every_ns: int = 0
    service: str = ""
    tenant: str = ""
    model: str = ""
    limit: int = 1000
