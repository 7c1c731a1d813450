"""Who is charged for which energy, what it cost, and whether the account closes."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from otel_llm.clock import EpochNs
from otel_llm.energy.cost import Cost, Prices, cost, total
from otel_llm.facts.energy import Scope
from otel_llm.query.joules import Charged, elsewhere, missed
from otel_llm.query.statements import ask
from otel_llm.query.window import Window

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

By = Literal["tenant", "model", "service", "phase"]
BY: tuple[By, ...] = ("tenant", "model", "service", "phase")
EVERY_NS = 300_000_000_000
"""Energy is priced in stretches of five minutes: the finest that grids are told in."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What a group of requests was charged. What has no price is None.

    Attributes:
        tenant, model, service, phase: the group; empty where it is not asked for.
        requests: that ended in the time and were charged something.
        tokens: of the output; of a line of prefill, tokens of prompts that were computed.
        energy_j: charged, in joules.
        error_j: bound of its error: the sum of the requests' bounds.
        scope: `local` if an engine of it has devices that nobody meters, so that it took more; else
            `all`.
        energy_per_token_j: None without tokens.
        amortised_idle_j: its part of what devices drew idle in the time, by energy. Not in
            `energy_j`.
        device_s: its part of the time with steps on devices, in seconds.
        kwh: from the grid.
        money: energy and device time together.
        money_per_million: per million of its tokens.
        money_per_request: in the mean of its requests; None without any.
        co2_g: grams of CO2 equivalent.
        co2_g_per_million, co2_g_per_request: likewise.
    """

    tenant: str
    model: str
    service: str
    phase: str
    requests: int
    tokens: int
    energy_j: float
    error_j: float
    scope: Scope
    energy_per_token_j: float | None
    amortised_idle_j: float
    device_s: float
    kwh: float
    money: float | None
    money_per_million: float | None
    money_per_request: float | None
    co2_g: float | None
    co2_g_per_million: float | None
    co2_g_per_request: float | None


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger of the devices beside what requests were charged, in joules.

    Attributes:
        windows: lines of the ledger.
        incomplete: of these, windows that facts were lost in.
        doubled: of these, windows that another line has too: two agents read one device.
        devices: most devices at once.
        delta_j: drawn: the sum of the three after it, exactly.
        attributed_j: charged to requests, says the ledger.
        idle_j: drawn while no step was on a device.
        unattributed_j: drawn for work that is no request's.
        charged_j: charged to requests that ended in the time, say their rows.
        residual_j: attributed less charged. Requests that are open, or ended before or after, make
            it differ from 0; over a whole run it is 0.
        overhead_money, overhead_co2_g: of idle and unattributed energy; None without a price.
        methods: how devices were metered.
        sources: who read them; `estimate` and `replay` are no measurement.
        flags: why windows are incomplete, as docs/energy.md lists them.
        partial_engines: engines with devices that nobody meters: `scope` is `local` with them.
    """

    windows: int
    incomplete: int
    doubled: int
    devices: int
    delta_j: float
    attributed_j: float
    idle_j: float
    unattributed_j: float
    charged_j: float
    residual_j: float
    overhead_money: float | None
    overhead_co2_g: float | None
    methods: list[str]
    sources: list[str]
    flags: list[str]
    partial_engines: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A chargeback report.

    Attributes:
        since_ns, until_ns: the time, in wall nanoseconds.
        by: what lines are told apart by.
        currency: of all money.
        lines: most energy first.
        reconciliation: the whole, all tenants and models.
    """

    since_ns: EpochNs
    until_ns: EpochNs
    by: list[str]
    currency: str
    lines: list[Line]
    reconciliation: Reconciliation


class _Tokens(msgspec.Struct, frozen=True):
    tenant: str
    model: str
    service: str
    requests: int
    prompt_tokens: int
    output_tokens: int


class _Ledger(msgspec.Struct, frozen=True):
    start_ns: int
    windows: int
    incomplete: int
    doubled: int
    devices: int
    delta_mj: int
    attributed_mj: int
    idle_mj: int
    unattributed_mj: int
    device_ns: int
    methods: list[str]
    sources: list[str]
    flags: list[str]


class _Part(NamedTuple):
    """What is priced at once."""

    at_s: float
    energy_mj: int
    device_s: float


def energy(client: "Client", window: Window, by: Sequence[By], prices: Prices) -> Report:
    """The report of a time.

    Args:
        client: of the store.
        window: the time, and a tenant, model or service to look at alone. The reconciliation is of
            all.
        by: what lines are told apart by.
        prices: what things cost.

    Raises:
        StoreError: the store refused a question.
        SettingError: a price is no price.
    """
    span = {"since_ns": window.since_ns, "until_ns": window.until_ns}
    given = {**span, "tenant": window.tenant, "model": window.model, "service": window.service}
    groups = [one for one in by if one != "phase"]
    used = _used(client, given, groups)
    tokens = ask(client, "energy_tokens", _Tokens, **given, by=groups)
    lines = ask(client, "energy_ledger", _Ledger, **span, every_ns=EVERY_NS)
    alone = window.tenant or window.model or window.service
    whole = {**given, "tenant": "", "model": "", "service": ""}
    all_used = _used(client, whole, []) if alone else used
    partial = missed(client, all_used, **span)
    found = _lines(used, tokens, lines, (partial, prices), split="phase" in by)
    return Report(
        since_ns=window.since_ns,
        until_ns=window.until_ns,
        by=list(by),
        currency=prices.currency,
        lines=sorted(found, key=lambda line: -line.energy_j)[: window.limit],
        reconciliation=_reconciled(lines, all_used, (partial, prices)),
    )


def _used(client: "Client", given: dict[str, Any], by: Sequence[str]) -> list[Charged]:
    """What requests are charged: on devices of their engines' nodes, and on those of others."""
    here = ask(client, "energy_use", Charged, **given, by=by, every_ns=EVERY_NS)
    return [*here, *elsewhere(client, by, **given, every_ns=EVERY_NS)]


def _lines(
    used: Sequence[Charged],
    tokens: Sequence[_Tokens],
    ledger: Sequence[_Ledger],
    how: tuple[set[str], Prices],
    *,
    split: bool,
) -> "Iterable[Line]":
    counted = {(one.tenant, one.model, one.service): one for one in tokens}
    attributed = sum(one.attributed_mj for one in ledger)
    idle = sum(one.idle_mj for one in ledger) / attributed if attributed else 0.0
    for group in dict.fromkeys(one.group for one in used):
        mine = [one for one in used if one.group == group]
        told = counted.get(group)
        for phase in ("prefill", "decode") if split else ("",):
            yield _line(group, phase, mine, told, (idle, *how))


def _line(
    group: tuple[str, str, str],
    phase: str,
    used: Sequence[Charged],
    told: _Tokens | None,
    how: tuple[float, set[str], Prices],
) -> Line:
    idle, partial, prices = how
    parts = [_part(one, phase) for one in used]
    energy_mj = sum(part.energy_mj for part in parts)
    whole_mj = sum(one.prefill_mj + one.decode_mj for one in used)
    spent = _priced(parts, prices)
    tokens, requests = 0, told.requests if told else 0
    if told is not None:
        tokens = told.prompt_tokens if phase == "prefill" else told.output_tokens
    per_million = spent.per_million(tokens)
    return Line(
        tenant=group[0],
        model=group[1],
        service=group[2],
        phase=phase,
        requests=requests,
        tokens=tokens,
        energy_j=energy_mj / 1000,
        error_j=sum(one.error_mj for one in used) * energy_mj / max(whole_mj, 1) / 1000,
        scope="local" if any(partial.intersection(one.instances) for one in used) else "all",
        energy_per_token_j=energy_mj / 1000 / tokens if tokens else None,
        amortised_idle_j=idle * energy_mj / 1000,
        device_s=sum(part.device_s for part in parts),
        kwh=spent.energy_kwh,
        money=spent.money,
        money_per_million=per_million.money if per_million else None,
        money_per_request=_each(spent.money, requests),
        co2_g=spent.co2_g,
        co2_g_per_million=per_million.co2_g if per_million else None,
        co2_g_per_request=_each(spent.co2_g, requests),
    )


def _each(amount: float | None, count: int) -> float | None:
    return None if amount is None or not count else amount / count


def _part(one: Charged, phase: str) -> _Part:
    """A stretch's energy and device time, of one phase by its part of the energy."""
    whole = one.prefill_mj + one.decode_mj
    energy = {"prefill": one.prefill_mj, "decode": one.decode_mj}.get(phase, whole)
    share = energy / whole if whole else 0.0
    return _Part(_middle_s(one.start_ns), energy, one.device_ns / 1e9 * (share if phase else 1.0))


def _reconciled(
    ledger: Sequence[_Ledger], used: Sequence[Charged], how: tuple[set[str], Prices]
) -> Reconciliation:
    partial, prices = how
    charged = sum(one.prefill_mj + one.decode_mj for one in used)
    attributed = sum(one.attributed_mj for one in ledger)
    overhead = _priced(
        [_Part(_middle_s(one.start_ns), one.idle_mj + one.unattributed_mj, 0.0) for one in ledger],
        prices,
    )
    return Reconciliation(
        windows=sum(one.windows for one in ledger),
        incomplete=sum(one.incomplete for one in ledger),
        doubled=sum(one.doubled for one in ledger),
        devices=max((one.devices for one in ledger), default=0),
        delta_j=sum(one.delta_mj for one in ledger) / 1000,
        attributed_j=attributed / 1000,
        idle_j=sum(one.idle_mj for one in ledger) / 1000,
        unattributed_j=sum(one.unattributed_mj for one in ledger) / 1000,
        charged_j=charged / 1000,
        residual_j=(attributed - charged) / 1000,
        overhead_money=overhead.energy_money,
        overhead_co2_g=overhead.co2_g,
        methods=sorted({one for line in ledger for one in line.methods}),
        sources=sorted({one for line in ledger for one in line.sources if one}),
        flags=sorted({one for line in ledger for one in line.flags}),
        partial_engines=len(partial),
    )


def _priced(parts: Iterable[_Part], prices: Prices) -> Cost:
    costs = [cost(part.energy_mj, part.at_s, prices, part.device_s) for part in parts]
    return total(costs) if costs else cost(0, 0.0, prices)


def _middle_s(start_ns: int) -> float:
    return (start_ns + EVERY_NS / 2) / 1e9
