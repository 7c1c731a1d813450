"""The ledger of devices, beside what rows of requests say: whether the account closes."""

from typing import TYPE_CHECKING

import msgspec

from otel_llm.clock import EpochNs
from otel_llm.query.statements import ask
from otel_llm.query.window import Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """A device in a window, beside what rows of requests say they were charged in it.

    Attributes:
        started_ns, ended_ns: the window, in wall nanoseconds.
        host, device, kind: whose; `kind` is gpu, cpu or dram.
        delta_mj: drawn: the sum of the next three, in millijoules as all others.
        flags: why facts about it were lost, as docs/energy.md lists them; empty too in lines from
            before they were kept.
        attributed_mj, idle_mj, unattributed_mj: what it went to.
        charged_mj: charged in this window, say the rows of requests and steps.
        residual_mj: attributed less charged. Not 0 while a request of the window is open, and of
            rows from before amounts named their windows.
        error_mj: bound of the error of `delta_mj`.
        method, sharing, busy, source: how it was metered and shared; the weakest of each.
        incomplete: facts about it were lost.
    """

    started_ns: EpochNs
    ended_ns: EpochNs
    host: str
    device: str
    kind: str
    delta_mj: int
    flags: str
    attributed_mj: int
    idle_mj: int
    unattributed_mj: int
    charged_mj: int
    residual_mj: int
    error_mj: int
    method: str
    sharing: str
    busy: str
    source: str
    incomplete: bool


def ledger(client: "Client", window: Window) -> list[LedgerLine]:
    """The ledger's lines of a time, the latest first.

    Args:
        client: of the store.
        window: the time, and how many lines at most; its tenant, model and service do not count.

    Raises:
        StoreError: the store refused the question.
    """
    return ask(
        client, "energy_windows", LedgerLine, since_ns=window.since_ns, until_ns=window.until_ns,
        limit=window.limit,
    )  # fmt: skip
