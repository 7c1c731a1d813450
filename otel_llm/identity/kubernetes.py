"""Kubernetes: the pod and who owns it, without asking the API server.

The OpenTelemetry operator writes `OTEL_RESOURCE_ATTRIBUTES`. Otherwise a pod says who it is by
variables (`fieldRef`) and a downward API volume at /etc/podinfo; the manifest is in
`docs/identity.md`.
"""

import re

from otel_llm.conventions.identity import OWNERS
from otel_llm.identity.places import ACCOUNT, Places

_HOST_NETWORK = "# Kubernetes-managed hosts file (host network)"
"""How the kubelet begins /etc/hosts of a pod that has the node's network, and its host name.
Source: Kubernetes, pkg/kubelet/kubelet_pods.go."""


def kubernetes(places: Places) -> dict[str, str]:
    """Fields `k8s_*`, and the queues of Kueue and Volcano."""
    pod = places.attributes.get("k8s.pod.name") or _variable(places, "POD_NAME") or _host(places)
    kind, owner = _owner(places, pod)
    queue = places.label("volcano.sh/queue-name", "scheduling.volcano.sh/queue-name")
    return {
        "k8s_pod": pod,
        "k8s_pod_uid": _variable(places, "POD_UID"),
        "k8s_namespace": (
            _variable(places, "POD_NAMESPACE")
            or places.variable("K8S_NAMESPACE")
            or places.text(ACCOUNT)
        ),
        "k8s_node": _variable(places, "NODE_NAME"),
        "k8s_container": places.variable("K8S_CONTAINER_NAME"),
        "k8s_owner_kind": kind,
        "k8s_owner": owner,
        "kueue_queue": places.label("kueue.x-k8s.io/queue-name"),
        "volcano_job": places.label("volcano.sh/job-name"),
        "volcano_queue": queue,
    }


def _variable(places: Places, name: str) -> str:
    """A variable by our own name, or by its usual one; outside Kubernetes that means nothing."""
    usual = (name,) if places.in_kubernetes else ()
    return places.variable(f"K8S_{name}", *usual)


def _host(places: Places) -> str:
    """The host name, where it is the pod's: not with the node's network."""
    if not places.in_kubernetes or places.text("etc/hosts").startswith(_HOST_NETWORK):
        return ""
    return places.variable("HOSTNAME")


def _owner(places: Places, pod: str) -> tuple[str, str]:
    """Kind and name of the owner: as told, else from the labels that its controller sets."""
    for kind, key in OWNERS.items():
        if places.attributes.get(key):
            return kind, places.attributes[key]
    job = places.label("batch.kubernetes.io/job-name", "job-name")
    if job:
        return "Job", job
    if places.label("statefulset.kubernetes.io/pod-name"):
        return "StatefulSet", re.sub(r"-\d+$", "", pod)
    template = places.label("pod-template-hash")
    if template and f"-{template}-" in pod:
        return "Deployment", pod.partition(f"-{template}-")[0]
    if places.label("controller-revision-hash"):
        return "DaemonSet", re.sub(r"-[a-z0-9]{5}$", "", pod)
    return "", ""
