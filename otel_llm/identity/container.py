"""The container: its id and what runs it, by the names that runtimes give cgroups and mounts."""

import re

from otel_llm.identity.places import Places

_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
_RUNTIMES = (
    ("cri-containerd", "containerd"),
    ("containerd", "containerd"),
    ("crio", "cri-o"),
    ("libpod", "podman"),
    ("docker", "docker"),
)


def container(places: Places) -> dict[str, str]:
    """`container_id`, `container_runtime` and, from a cgroup's name, `k8s_pod_uid`.

    cgroup v1 names them in /proc/self/cgroup. With v2 and a cgroup namespace that file says `/`
    alone, and the id stands in the mounts of `hostname` and `resolv.conf`. In a pod these are its
    sandbox's, whatever the runtime: that is another container, and ours is not told. Of nested
    ones the last is ours.
    """
    told = places.text("proc/self/cgroup")
    mounts = "\n".join(
        line
        for line in places.text("proc/self/mountinfo").splitlines()
        if ("/hostname" in line or "/resolv.conf" in line or "kubelet/pods" in line)
        and "/sandboxes/" not in line
    )
    both = f"{told}\n{mounts}"
    ours = [] if places.in_kubernetes else _ID.findall(mounts)
    number = (_ID.findall(told) or ours or [""])[-1]
    pod = _POD.search(both) or re.search(r"kubelet/pods/([0-9a-f-]{36})", both)
    runtime = next((name for mark, name in _RUNTIMES if mark in both), "") if number else ""
    return {
        "container_id": number,
        "container_runtime": runtime,
        "k8s_pod_uid": pod[1].replace("_", "-") if pod else "",
    }
