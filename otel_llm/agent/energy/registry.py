"""Which engines are on which devices of this node."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from otel_llm.agent.energy.device import MeteredDevice
from otel_llm.agent.energy.engines import Engine
from otel_llm.agent.energy.loads import Basis
from otel_llm.clock import Anchor
from otel_llm.energy.shape import DevicePeak
from otel_llm.facts import Producer
from otel_llm.facts.device import DeviceSample
from otel_llm.facts.energy import RequestJoules, Scope

MOST_ENGINES = 4_096
"""Engines remembered, those that are gone included."""
MOST_VISITORS = 256
"""Engines of other nodes remembered: a worker's journal may name any."""


class Host(NamedTuple):
    """Where the agent runs: its host's name, boot and time namespace."""

    name: str
    boot_id: str
    time_namespace: int


class Terms(NamedTuple):
    """On which requests of an engine are held.

    Attributes:
        engine: whose.
        names: ids of its metered devices and MIG instances that answer now; at least one.
        joules: what a request is charged to begin with: nothing.
    """

    engine: Engine
    names: tuple[str, ...]
    joules: RequestJoules


class Registry:
    """Engines and metered devices.

    Args:
        host: this one.
        peaks: gives what a device can do by its product name; None if it is not known.

    Attributes:
        devices: by id.
        anchor: the latest reading's.
    """

    def __init__(self, host: Host, peaks: Callable[[str], DevicePeak | None]) -> None:
        self._host = host
        self._peaks = peaks
        self.devices: dict[str, MeteredDevice] = {}
        self.anchor: Anchor | None = None
        self._parents: dict[str, str] = {}
        self._engines: dict[str, Engine] = {}
        self._visitors: dict[str, Engine] = {}
        self._numbered: dict[int, Engine] = {}
        self._last = 0
        self._placed: dict[str, list[tuple[MeteredDevice, str]]] = {}

    # -- devices

    def add(self, device: MeteredDevice) -> None:
        """A device is metered."""
        self.devices[device.device.id] = device
        self._parents |= {mig: device.device.id for mig in device.parts if mig}
        self._placed.clear()

    def note(self, sample: DeviceSample) -> None:
        """A device or an instance of a metered one was read."""
        device = sample.device
        if device.mig and device.mig not in self._parents:
            self._parents[device.mig] = device.id
            self._placed.clear()
        self.anchor = sample.anchor

    def find(self, name: str) -> tuple[MeteredDevice, str] | None:
        """A metered device by its id or that of a MIG instance, and the instance."""
        device = self.devices.get(self._parents.get(name, name))
        return None if device is None else (device, name if name in self._parents else "")

    # -- engines

    def engine(self, producer: Producer) -> Engine | None:
        """An engine of this node and boot with devices; None for others."""
        known = self._engines.get(producer.instance_id)
        if known is not None:
            return known
        if producer.kind != "engine" or not producer.devices:
            return None
        if producer.boot_id != self._host.boot_id:
            return None
        return self._know(producer, self._engines, visiting=False)

    def visitor(self, producer: Producer, device: str) -> Engine | None:
        """An engine whose worker told of a step on a device that it does not name itself.

        None if the device is not metered, or the engine of this node charges its requests for it.
        """
        engine = self._engines.get(producer.instance_id)
        if self.find(device) is None or producer.boot_id != self._host.boot_id:
            return None
        if engine is not None and device in engine.producer.devices:
            return None
        known = self._visitors.get(producer.instance_id)
        if known is not None:
            return known
        if len(self._visitors) >= MOST_VISITORS:
            del self._numbered[self._visitors.pop(next(iter(self._visitors))).number]
        return self._know(producer, self._visitors, visiting=True)

    def numbered(self, number: int) -> Engine:
        """An engine by its number; a stand-in for one that is no longer remembered."""
        return self._numbered.get(number, _NOBODY)

    def forget(self, instances: Iterable[str]) -> None:
        """Journals of these engines are gone. Their numbers stay known as long as there is room."""
        for instance in instances:
            self._engines.pop(instance, None)
            self._placed.pop(instance, None)
        while len(self._numbered) > MOST_ENGINES:
            oldest = self._numbered.pop(min(self._numbered))
            for known in (self._engines, self._visitors):
                if known.get(oldest.instance_id) is oldest:
                    del known[oldest.instance_id]

    def _know(self, producer: Producer, among: dict[str, Engine], *, visiting: bool) -> Engine:
        self._last = number = self._last + 1
        engine = Engine(number, producer, visiting=visiting)
        among[producer.instance_id] = self._numbered[number] = engine
        return engine

    def places(self, engine: Engine) -> list[tuple[MeteredDevice, str]]:
        """Metered devices that an engine names, each with the MIG instance."""
        known = self._placed.get(engine.instance_id)
        if known is not None:
            return known
        named = dict.fromkeys(engine.producer.devices)
        found = [place for place in map(self.find, named) if place is not None]
        self._placed[engine.instance_id] = found
        return found

    def answering(self, engine: Engine) -> list[str]:
        """Ids of an engine's metered devices and MIG instances that answer now."""
        return [mig or one.device.id for one, mig in self.places(engine) if one.is_waiting]

    def scope(self, engine: Engine) -> Scope:
        """Whether all devices of an engine are metered here."""
        return _scope(engine, len(self.answering(engine)))

    def terms(self, producer: Producer) -> Terms | None:
        """On which this engine's requests are held; None if there is nothing to wait for."""
        engine = self.engine(producer)
        names = self.answering(engine) if engine is not None else []
        if engine is None or not names:
            return None
        return Terms(engine, tuple(names), RequestJoules(scope=_scope(engine, len(names))))

    def on(self, device: MeteredDevice) -> list[Engine]:
        """Engines on a device."""
        return [
            engine
            for engine in self._engines.values()
            if any(one is device for one, _ in self.places(engine))
        ]

    def basis(self, engine: Engine, device: MeteredDevice) -> Basis | None:
        """What work is reckoned with; None if the engine's model or the device is not known."""
        shape, peak = engine.producer.shape, self._peaks(device.device.name)
        return None if shape is None or peak is None else Basis(shape, peak)

    def shift_ns(self, producer: Producer, anchor: Anchor) -> int:
        """What turns a producer's stamps into monotonic time of this host, in nanoseconds."""
        same = producer.time_namespace in (0, self._host.time_namespace)
        return 0 if same or self.anchor is None else anchor.offset_ns - self.anchor.offset_ns

    # -- the checkpoint

    def saved(self) -> bytes | None:
        """The engines, to be restored; None if there are none."""
        return msgspec.msgpack.encode(list(self._numbered.values())) if self._numbered else None

    def restore(self, body: bytes) -> None:
        """Take up the engines.

        Raises:
            msgspec.MsgspecError: it cannot be decoded.
        """
        engines: Sequence[Engine] = msgspec.msgpack.decode(body, type=list[Engine])
        for engine in engines:
            among = self._visitors if engine.visiting else self._engines
            among[engine.instance_id] = self._numbered[engine.number] = engine
            self._last = max(self._last, engine.number)


def _scope(engine: Engine, answering: int) -> Scope:
    named = set(engine.producer.devices)
    whole = not engine.is_split and answering == len(named)
    return "all" if whole and named else "local"


_NOBODY = Engine(0, Producer("engine", "", "", 0, "", "", "", ""))
"""In place of an engine that is no longer remembered."""
