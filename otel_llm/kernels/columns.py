"""Kernels as columns: the one form in which every source hands them on.

Records of the CUPTI shim, imported profiles and operations timed on a CPU all come as these
arrays, so that analysis and rows are the same for all of them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

UNKNOWN = -1
"""Stands for a launch time that is not known."""
LONGEST_NS = 86_400_000_000_000
"""Longest duration of a kernel that is believed: a day. 65,536 of them fit a signed 64-bit sum."""


@dataclass(frozen=True)
class Kernels:
    """Kernels of one process, in any order. Every array has the shape (kernels,).

    Attributes:
        names: distinct names.
        devices: distinct devices.
        step: number of the step that caused each; 0 for none.
        name: index into `names`.
        start_ns: when each began, in nanoseconds of one clock.
        duration_ns: how long each ran, in nanoseconds; not negative.
        device: index into `devices`.
        stream: number of its stream.
        correlation: CUPTI's correlation id, shared by all kernels of one graph launch; 0 for none.
        launch_ns: when the call that launched it began, by the same clock; UNKNOWN where not known.
    """

    names: list[str]
    devices: list[str]
    step: Ints
    name: Ints
    start_ns: Ints
    duration_ns: Ints
    device: Ints
    stream: Ints
    correlation: Ints
    launch_ns: Ints

    def __len__(self) -> int:
        """How many kernels."""
        return len(self.start_ns)

    def take(self, which: "npt.NDArray[np.intp] | npt.NDArray[np.bool_]") -> "Kernels":
        """Some of them, by index or mask."""
        columns = (
            self.step, self.name, self.start_ns, self.duration_ns, self.device, self.stream,
            self.correlation, self.launch_ns,
        )  # fmt: skip
        return Kernels(self.names, self.devices, *(column[which] for column in columns))
