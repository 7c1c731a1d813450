"""A profile as facts: the same that a live engine gives."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.errors import ProfileError
from otel_llm.facts import Producer
from otel_llm.facts.joined import Joined, JoinedKernels, ProducerEvent
from otel_llm.facts.kernel import StepKernels
from otel_llm.kernels.classes import OTHER, classifier
from otel_llm.kernels.columns import Kernels
from otel_llm.kernels.imports.profile import MAX_STAMP_NS, Profile
from otel_llm.kernels.sums import Origin, step_names, step_sums, totals

_FIRST_WALL_NS = 946_684_800_000_000_000
"""The year 2000. What claims to have run before it has no time of day."""


class Identity(NamedTuple):
    """Whose kernels they shall be.

    Attributes:
        instance_id: from the file's content.
        service: as in service.name.
        host: host name; empty for what the file tells.
        model: model served.
        devices: names in place of the file's device numbers.
    """

    instance_id: str
    service: str = "imported"
    host: str = ""
    model: str = ""
    devices: Mapping[str, str] = {}


class Share(NamedTuple):
    """How much of a profile is of one class.

    Attributes:
        kind: the class.
        names: distinct names.
        kernels: kernels.
        total_ns: their durations, summed.
        time_ratio: of the time of all.
    """

    kind: str
    names: int
    kernels: int
    total_ns: int
    time_ratio: float


class Summary(NamedTuple):
    """What an import holds.

    Attributes:
        source: kineto or nsys.
        instance_id: under which it is stored.
        start_ns, end_ns: first start and last end, in wall nanoseconds.
        kernels: kernels, copies and fills.
        names: distinct names.
        devices: its devices.
        step_marks: steps that the file marks.
        steps: steps that have kernels.
        without_step: kernels of no step.
        without_launch: kernels whose launch the file does not hold.
        dropped: what was left out or cut, by reason.
        classes: time by class, most first.
        named_ratio: distinct names that have a class, of all.
        classified_ratio: time of kernels that have a class, of all.
    """

    source: str
    instance_id: str
    start_ns: int
    end_ns: int
    kernels: int
    names: int
    devices: list[str]
    step_marks: int
    steps: int
    without_step: int
    without_launch: int
    dropped: dict[str, int]
    classes: list[Share]
    named_ratio: float
    classified_ratio: float


class Import:
    """A profile with its identity and its place in time.

    Args:
        profile: as read.
        identity: whose kernels.
        at_ns: when the first kernel shall have begun, in wall nanoseconds; None keeps the times
            of the file.

    Raises:
        ProfileError: the file has no time of day and none is given, or names clash.
    """

    def __init__(self, profile: Profile, identity: Identity, at_ns: int | None) -> None:
        names = [identity.devices.get(one, f"cuda:{one}") for one in profile.kernels.devices]
        if len(set(names)) < len(names):
            message = "--device gives two of the file's devices one name."
            raise ProfileError(message)
        self._profile = profile
        self.kernels = _named(_reasonable(profile, at_ns), names)
        first = int(self.kernels.start_ns.min())
        offset = profile.offset_ns if at_ns is None else at_ns - first
        self._anchor = Anchor(EpochNs(first + (offset or 0)), MonotonicNs(first), 0)
        self._origin = Origin(
            _producer(profile, identity), self._anchor, profile.source, profile.rank
        )

    @property
    def offset_ns(self) -> int:
        """What makes wall time of the file's times."""
        return self._anchor.offset_ns

    def event(self, event: Literal["importing", "imported"]) -> ProducerEvent:
        """The row that says how far this import came: `importing` or `imported`."""
        return ProducerEvent(self._origin.producer, self._anchor, event, self._anchor.mono_ns)

    def sums(self) -> list[Joined]:
        """Everything but the kernels one by one."""
        kernels, origin = self.kernels, self._origin
        return [
            *step_sums(kernels, origin),
            *totals(kernels, origin),
            *step_names(kernels, origin, "import"),
        ]

    def one_by_one(self) -> Iterator[JoinedKernels]:
        """The kernels, one fact for each step and device."""
        ours = self.kernels
        ours = ours.take(np.lexsort((ours.start_ns, ours.device, ours.step)))
        changes = (np.diff(ours.step) != 0) | (np.diff(ours.device) != 0)
        bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), len(ours)]
        for begin, end in pairwise(bounds):
            yield self._fact(ours.take(np.arange(begin, end)))

    def summary(self) -> Summary:
        """What it holds, for people and programs."""
        kernels = self.kernels
        classes = np.array(classifier().all_of(kernels.names))
        shares = _shares(kernels, classes)
        used = np.unique(kernels.name)
        untold = sum(share.time_ratio for share in shares if share.kind == OTHER)
        return Summary(
            source=self._profile.source, instance_id=self._origin.producer.instance_id,
            start_ns=int(kernels.start_ns.min()) + self.offset_ns,
            end_ns=int((kernels.start_ns + kernels.duration_ns).max()) + self.offset_ns,
            kernels=len(kernels), names=len(used), devices=kernels.devices,
            step_marks=self._profile.steps, steps=len(np.unique(kernels.step[kernels.step > 0])),
            without_step=int((kernels.step == 0).sum()),
            without_launch=int((kernels.launch_ns < 0).sum()),
            dropped=dict(self._profile.dropped), classes=shares,
            named_ratio=float((classes[used] != OTHER).mean()), classified_ratio=1.0 - untold,
        )  # fmt: skip

    def _fact(self, part: Kernels) -> JoinedKernels:
        used, index = np.unique(part.name, return_inverse=True)
        base = int(part.start_ns[0])
        # Arrays stand for lists: rows are made from both, and nobody else sees these.
        arrays: dict[str, Any] = {
            "name_index": index.reshape(-1),
            "offset_ns": part.start_ns - base,
            "duration_ns": part.duration_ns,
        }
        told = StepKernels(
            seq=int(part.step[0]), source=self._profile.source,
            device=part.devices[int(part.device[0])],
            names=[part.names[name] for name in used.tolist()], base_ns=MonotonicNs(base), **arrays,
        )  # fmt: skip
        return JoinedKernels(self._origin.producer, self._anchor, told)


def _named(kernels: Kernels, devices: list[str]) -> Kernels:
    """The same, with other names for the devices."""
    return Kernels(
        kernels.names, devices, kernels.step, kernels.name, kernels.start_ns, kernels.duration_ns,
        kernels.device, kernels.stream, kernels.correlation, kernels.launch_ns,
    )  # fmt: skip


def _reasonable(profile: Profile, at_ns: int | None) -> Kernels:
    """The kernels that have a time of day, or are given one; the others are counted."""
    kernels, offset = profile.kernels, profile.offset_ns
    if at_ns is not None:
        return kernels
    if offset is None:
        message = "This file does not tell the time of day. Give one: --at now."
        raise ProfileError(message)
    least, most = _FIRST_WALL_NS - offset, MAX_STAMP_NS - offset
    fits = (kernels.start_ns >= least) & (kernels.start_ns <= most)
    absurd = int((~fits).sum())
    if absurd == len(fits):
        message = "This file's times are no times of day. Give one: --at now."
        raise ProfileError(message)
    if absurd:
        profile.dropped["absurd"] += absurd
    return kernels.take(fits)


def _shares(kernels: Kernels, classes: "np.typing.NDArray[np.str_]") -> list[Share]:
    total = max(1, int(kernels.duration_ns.sum()))
    shares = []
    for kind in np.unique(classes).tolist():
        ours = classes[kernels.name] == kind
        time = int(kernels.duration_ns[ours].sum())
        names = len(np.unique(kernels.name[ours]))
        if names:
            shares.append(Share(kind, names, int(ours.sum()), time, time / total))
    return sorted(shares, key=lambda share: -share.total_ns)


def _producer(profile: Profile, identity: Identity) -> Producer:
    return Producer(
        kind="engine", instance_id=identity.instance_id, boot_id="", time_namespace=0,
        service=identity.service, host=identity.host or profile.host, engine=profile.source,
        engine_version="", model=identity.model,
    )  # fmt: skip
