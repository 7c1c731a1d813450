"""What detectors look at: the environment, and files under a root."""

import os
import re
import stat
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

MAX_BYTES = 256 << 10
"""Most bytes of a file that are looked at."""
ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount/namespace"
"""The namespace, which Kubernetes puts beside the service account's token."""
_LABEL = re.compile(r'^([^=\s]+)="((?:[^"\\]|\\.)*)"$')


class Places:
    """An environment and a file system.

    Args:
        root: `/`, or a made-up root in tests.
        environment: `os.environ`, or one that is made up.

    Attributes:
        attributes: of `OTEL_RESOURCE_ATTRIBUTES`.
        labels: labels and annotations of the pod.
        unreadable: files that are there and cannot be read, and why.
    """

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._root = root
        self._environment = environment
        self.unreadable: dict[str, str] = {}
        self.attributes = _attributes(environment.get("OTEL_RESOURCE_ATTRIBUTES", ""))
        self.labels = {
            **_labels(self.text("etc/podinfo/annotations")),
            **_labels(self.text("etc/podinfo/labels")),
        }

    def variable(self, *names: str) -> str:
        """The first of these variables that is set."""
        return next((self._environment[name] for name in names if self._environment.get(name)), "")

    def text(self, path: str) -> str:
        """The beginning of a file; empty if it cannot be read. Bytes that are no text are marks.

        Nothing but a plain file is read: a fifo would hold up the engine that asks.
        """
        try:
            handle = os.open(self._root / path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            self.unreadable[path] = str(error.strerror)
            return ""
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                self.unreadable[path] = "it is no plain file"
                return ""
            told = os.read(handle, MAX_BYTES)
        except OSError as error:
            self.unreadable[path] = str(error.strerror)
            return ""
        finally:
            os.close(handle)
        if len(told) == MAX_BYTES:
            self.unreadable[path] = f"it has more than {MAX_BYTES} bytes"
        return told.decode("utf-8", "replace").strip()

    def is_there(self, path: str) -> bool:
        """Whether there is a file, whatever is in it."""
        return os.path.exists(self._root / path)  # noqa: PTH110  Path's raises where it may not look

    @cached_property
    def in_kubernetes(self) -> bool:
        """Whether this is a pod. Names like NODE_NAME mean something else elsewhere."""
        return bool(
            self.variable("KUBERNETES_SERVICE_HOST")
            or self.labels
            or self.text(ACCOUNT)
            or "kubepods" in self.text("proc/self/cgroup")
            or "kubelet/pods" in self.text("proc/self/mountinfo")
        )

    def label(self, *keys: str) -> str:
        """The first of these labels or annotations of the pod."""
        return next((self.labels[key] for key in keys if self.labels.get(key)), "")


def _attributes(text: str) -> dict[str, str]:
    """`OTEL_RESOURCE_ATTRIBUTES`: `key=value` by commas, values percent-encoded.

    Source: OpenTelemetry, resource SDK, "Specifying resource information via an environment
    variable".
    """
    from urllib.parse import unquote

    pairs = (item.partition("=") for item in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, found, value in pairs if found}


def _labels(text: str) -> dict[str, str]:
    """A file of the downward API: `key="value"` lines, values quoted as in Go."""
    found = (_LABEL.match(line) for line in text.splitlines())
    return {
        match[1]: match[2].replace('\\"', '"').replace("\\\\", "\\") for match in found if match
    }
