"""Energy as the agent sees it: readings and joined facts in, facts with joules out."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from otel_llm.agent.energy import told
from otel_llm.agent.energy.device import MeteredDevice
from otel_llm.agent.energy.engines import INDEX_BITS
from otel_llm.agent.energy.registry import Host, Registry, Terms
from otel_llm.agent.energy.requests import LATE_WINDOWS, Held, HeldRequests, joules_of
from otel_llm.agent.energy.steps import AHEAD_NS, WINDOW_NS, EngineSteps, Joins
from otel_llm.agent.energy.visiting import Visits, stand_in
from otel_llm.agent.energy.waiting import WaitingSteps
from otel_llm.agent.open_facts import Change, Key
from otel_llm.clock import Anchor, MonotonicNs
from otel_llm.energy.account import Amount
from otel_llm.energy.shape import DevicePeak, device_peak
from otel_llm.facts import Producer
from otel_llm.facts.device import Device, DeviceEvent, DeviceSample
from otel_llm.facts.energy import RequestEnergy, StepEnergy
from otel_llm.facts.joined import (
    Joined,
    JoinedRequest,
    JoinedStep,
    ProducerEvent,
    StepKernelSums,
)

GRACE_NS = 1_000_000_000
"""How long after its end a window waits for a step that began in it."""
MOST_UNCLOSED = 64
"""Windows of a device that wait to be closed; past it the oldest is closed as it is, flagged."""
ABANDONED_NS = 600_000_000_000
"""What a request holds is told when nothing was added to it for so long."""
KIND = "energy"
_DEVICE, _ENGINES = f"{KIND}.device", f"{KIND}.engines"

_log = logging.getLogger("otel_llm.agent")


class Energy:
    """The accounts of all devices of this node.

    Args:
        host: this one.
        most: requests held, and open accounts per device.
        peaks: gives what a device can do by its product name; None if it is not known.
        kernel_wait_ns: how long after its end a window waits for the kernels of its steps, where
            they are being told.

    Attributes:
        lost: facts lost here by reason, since the caller last took them.
    """

    def __init__(
        self,
        host: Host,
        most: int,
        peaks: Callable[[str], DevicePeak | None] = device_peak,
        kernel_wait_ns: int = 2_000_000_000,
    ) -> None:
        self._host = host
        self._most = most
        self._kernel_wait_ns = kernel_wait_ns
        self._registry = Registry(host, peaks)
        self._steps = EngineSteps(self._registry, kernel_wait_ns)
        self._held = HeldRequests(most)
        self._device_gone: set[str] = set()
        self.lost: Counter[str] = Counter()

    # -- what comes in

    def sampled(self, samples: Iterable[DeviceSample], events: Iterable[DeviceEvent]) -> None:
        """Devices were read. CPU packages and their memory have a ledger, and no engine."""
        devices = self._registry.devices
        for sample in samples:
            device = sample.device
            metered = devices.get(device.id)
            if metered is None:
                if device.mig or (sample.energy_mj is None and _power(sample) is None):
                    continue
                metered = MeteredDevice(device, WINDOW_NS, self._most)
                self._registry.add(metered)
            self._registry.note(sample)
            metered.sample(sample)
        for event in events:
            if event.event == "lost" and not event.device.mig and event.device.id in devices:
                devices[event.device.id].lost()

    def let_go(self, devices: Iterable[str]) -> None:
        """Another agent meters these now, or did since our last reading: what is open ends."""
        for name in devices:
            if name in self._registry.devices:
                self._registry.devices[name].lost()

    def joined(self, facts: Sequence[Joined]) -> list[Joined]:
        """Facts were joined. Requests of metered engines are held; all else passes."""
        out: list[Joined] = []
        terms: dict[str, Terms | None] = {}
        for fact in self._steps.with_parts(facts):
            if type(fact) is JoinedRequest:
                if fact.energy is None and self._holds(fact, terms):
                    continue
            elif type(fact) is JoinedStep or type(fact) is StepKernelSums:
                self._steps.take(fact)
            elif type(fact) is ProducerEvent:
                self._registry.engine(fact.producer)
            out.append(fact)
        return out

    def damaged(self, producer: Producer, now_ns: MonotonicNs) -> None:
        """Records of an engine were lost."""
        engine = self._registry.engine(producer)
        if engine is not None:
            engine.lossy = True
            for device, _ in self._registry.places(engine):
                device.damage(now_ns)

    def forget(self, instances: Iterable[str]) -> None:
        """Journals of these engines are gone."""
        self._registry.forget(instances)

    # -- what goes out

    def close(self, now_ns: MonotonicNs, joins: Joins, *, whole: bool = True) -> list[Joined]:
        """Close the windows that are due; give ledger, amounts, and requests that need not wait.

        Args:
            now_ns: all journals are read up to this moment, in monotonic nanoseconds.
            joins: of the engines whose journals are read.
            whole: they are. Where reading lags, requests are told after their longest wait, and
                windows are closed only when too many wait.
        """
        out: list[Joined] = []
        any_closed = False
        self._steps.order()
        for device in self._registry.devices.values():
            closed = False
            while device.windows and self._is_due(device, now_ns, joins, whole):
                self._steps.fold(now_ns, device)
                out += self._close(device, now_ns, joins)
                closed = any_closed = True
            if closed or not device.is_waiting:
                out += self._settle(device, now_ns, joins)
        out += self._held.ready(now_ns)
        if any_closed:
            self._held.finish(now_ns)
        return out

    def flush(self) -> list[Joined]:
        """The agent stops: give every request that is held, as it stands."""
        return [*self._held.flush()]

    # -- the checkpoint

    def changes(self) -> list[Change]:
        """What to save, with the cursors: all that is remembered of devices, and held requests."""
        devices = self._registry.devices
        if devices:
            self._steps.fold(None)
        encode = msgspec.msgpack.encode
        changes: list[Change] = [
            (_DEVICE, name, encode(device.state())) for name, device in devices.items()
        ]
        engines = self._registry.saved()
        if engines is not None:
            changes.append((_ENGINES, "", engines))
        changes += [(_DEVICE, name, None) for name in self._device_gone]
        return [*changes, *(one for kept in self._kept() for one in kept.changes())]

    def saved(self) -> None:
        """What `changes` returned is safe."""
        self._device_gone.clear()
        for kept in self._kept():
            kept.saved()

    def restore(self, saved: Sequence[tuple[str, Key, bytes]], anchor: Anchor) -> None:
        """Go on from what was saved. What is damaged is begun anew, and counted.

        Args:
            saved: as `changes` told it.
            anchor: clock reading of now, for windows that are closed before a device is read.
        """
        self._registry.anchor = anchor
        try:
            for kind, _, body in saved:
                if kind == _ENGINES:
                    self._registry.restore(body)
            for kept in self._kept():
                kept.restore(saved)
        except msgspec.MsgspecError as error:
            self._note_damaged("requests", error)
            self._held = HeldRequests(self._most)
            self._steps = EngineSteps(self._registry, self._kernel_wait_ns)
        for kind, key, body in saved:
            if kind == _DEVICE:
                self._restore_device(str(key), body)

    def _kept(self) -> tuple[HeldRequests, WaitingSteps, Visits]:
        return self._held, self._steps.waiting, self._steps.visits

    def _restore_device(self, name: str, body: bytes) -> None:
        try:
            device = MeteredDevice.restored(msgspec.msgpack.decode(body), self._most)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            self._note_damaged(name, error)
            self._device_gone.add(name)
            return
        self._registry.add(device)

    def _note_damaged(self, what: str, error: Exception) -> None:
        _log.error("energy of %s is damaged and lost (%s); it is begun anew", what, error)
        self.lost["undecodable"] += 1

    # -- windows

    def _is_due(self, device: MeteredDevice, now_ns: int, joins: Joins, whole: bool) -> bool:
        window = device.windows[0]
        if len(device.windows) > MOST_UNCLOSED:
            device.damage(window.end_ns - 1)
            return True
        if not whole or now_ns < window.end_ns:
            return False
        if now_ns < window.end_ns + GRACE_NS and self._steps.unended(device, window, joins):
            return False
        return now_ns >= window.end_ns + self._kernel_wait_ns or self._steps.is_told(device, window)

    def _close(self, device: MeteredDevice, now_ns: int, joins: Joins) -> list[Joined]:
        window = device.windows[0]
        running = self._steps.running(device, window, joins, now_ns)
        out: list[Joined] = []
        for closed in device.close(window, running):
            assert self._registry.anchor is not None  # noqa: S101  a window has had readings
            out.append(told.ledger(closed, self._host, self._registry.anchor))
            out += self._amounts(closed.early, closed.device, window.end_ns, joins)
        return out

    # -- requests

    def _holds(self, fact: JoinedRequest, known: dict[str, Terms | None]) -> bool:
        """Whether a request waits for energy; `known` are its engine's terms of this turn."""
        instance = fact.producer.instance_id
        if instance not in known:
            known[instance] = self._registry.terms(fact.producer)
        terms = known[instance]
        if terms is None:
            return False
        number = terms.engine.request(fact.arrived.index)
        before = self._held.get(number)
        if before is not None and not before.told:
            return False  # two requests of one number: this one goes without an account
        shift = self._registry.shift_ns(fact.producer, fact.anchor)
        joules = terms.joules
        if fact.incomplete:
            joules = msgspec.structs.replace(joules, incomplete=True)
        finished_ns = fact.finished.finished_ns + shift
        held = Held(number, finished_ns, terms.names, terms.names, joules)
        oldest = self._held.hold(fact, held)
        if oldest is not None and not oldest.told:
            self.lost["state_full"] += 1
        return True

    def _settle(self, device: MeteredDevice, now_ns: int, joins: Joins) -> list[Joined]:
        out: list[Joined] = []
        closed_ns = device.closed_ns if device.is_waiting else now_ns + AHEAD_NS
        for mig, part in device.parts.items():
            name = mig or device.device.id
            visits = self._steps.visits.over(name, closed_ns)
            ended = [*self._held.closed(name, closed_ns, LATE_WINDOWS * device.window_ns), *visits]
            amounts = part.account.settle(np.array(ended, dtype=np.int64)) if ended else []
            amounts += part.account.settle_older(device.closed_ns - ABANDONED_NS)
            out += self._amounts(amounts, part.device, device.closed_ns, joins)
            for number in visits:
                self._steps.visits.take(number)
        return out

    def _amounts(
        self, amounts: Sequence[Amount], device: Device, closed_ns: int, joins: Joins
    ) -> list[RequestEnergy | StepEnergy]:
        return [self._amount(amount, device, closed_ns, joins) for amount in amounts]

    def _amount(
        self, amount: Amount, device: Device, closed_ns: int, joins: Joins
    ) -> RequestEnergy | StepEnergy:
        held = self._held.get(amount.request)
        if held is not None:
            joules = joules_of(amount, held.joules.scope)
            self._held.charge(amount.request, joules)
            return told.held(amount, joules, self._held.request(amount.request), device)
        engine = self._registry.numbered(amount.request >> INDEX_BITS)
        if engine.visiting:
            visit = self._steps.visits.get(amount.request) or stand_in(
                engine, amount.request, closed_ns
            )
            return told.step(amount, visit, device)
        anchor = self._registry.anchor or Anchor(0, MonotonicNs(0), 0)  # type: ignore[arg-type]
        whose = told.Unended(engine, joins.get(engine.instance_id), self._registry.scope(engine))
        return told.unended(amount, whose, device, anchor, closed_ns)


def _power(sample: DeviceSample) -> int | None:
    return sample.power_mw if sample.power_mw is not None else sample.power_average_mw
