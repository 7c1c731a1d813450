"""Which nodes a message of Alertmanager asks to drain, and which of them may be."""

import re
from collections import deque
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from otel_llm.clock import MonotonicNs

FATAL = ("GpuLost", "GpuFatalXid")
"""Alerts after which a GPU serves nobody."""
HOUR_NS = 3_600_000_000_000
_NODE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
Verdict = Literal["drain", "again", "limit", "no_node"]


class _Alert(msgspec.Struct):
    status: str
    labels: dict[str, str]


class Message(msgspec.Struct):
    """What Alertmanager sends to a webhook, as far as it matters here."""

    alerts: list[_Alert]


class Decision(NamedTuple):
    """What is to become of a node.

    Attributes:
        node: its name; empty if the alert named none that can be one.
        alert: why.
        verdict: `drain` it; it was drained `again` too soon, there were too many (`limit`), or the
            alert has `no_node`.
    """

    node: str
    alert: str
    verdict: Verdict


class Decider:
    """Decides, and remembers for an hour.

    Args:
        most: nodes that may be drained within an hour. A fault of our own rules must not empty a
            cluster.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._drained: deque[tuple[int, str]] = deque()

    def decide(self, message: Message, now_ns: MonotonicNs) -> Iterator[Decision]:
        """Decisions on a message's firing alerts, each node once.

        Args:
            message: Alertmanager's.
            now_ns: monotonic time.
        """
        while self._drained and now_ns - self._drained[0][0] > HOUR_NS:
            self._drained.popleft()
        seen = set()
        for alert in message.alerts:
            name = alert.labels.get("alertname", "")
            node = node_of(alert.labels)
            if alert.status == "firing" and name in FATAL and node not in seen:
                seen.add(node)
                yield Decision(node, name, self._verdict(node, now_ns))

    def forget(self, node: str) -> None:
        """A node could not be drained after all: it may be tried again."""
        self._drained = deque(each for each in self._drained if each[1] != node)

    def _verdict(self, node: str, now_ns: MonotonicNs) -> Verdict:
        if not node:
            return "no_node"
        if node in (each for _, each in self._drained):
            return "again"
        if len(self._drained) >= self._most:
            return "limit"
        self._drained.append((now_ns, node))
        return "drain"


def node_of(labels: dict[str, str]) -> str:
    """The label `node`, else the host of `instance`; empty if it cannot be a host's name."""
    node = labels.get("node") or labels.get("instance", "").rpartition(":")[0]
    return node if _NODE.fullmatch(node) else ""
