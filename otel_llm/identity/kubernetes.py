"""Kubernetes: the pod and who owns it, without asking the API server.

The OpenTelemetry operator writes `OTEL_RESOURCE_ATTRIBUTES`. Otherwise a pod says who it is by
variables (`fieldRef`) and a downward API volume at /etc/podinfo; the manifest is in
`docs/identity.md`.
"""

import re

from otel_llm.identity.places import Places

_ACCOUNT = "var/run/secrets/kubernetes.io/serviceaccount/namespace"
_OWNERS = (
    ("k8s.deployment.name", "Deployment"),
    ("k8s.statefulset.name", "StatefulSet"),
    ("k8s.daemonset.name", "DaemonSet"),
    ("k8s.job.name", "Job"),
)


def kubernetes(places: Places) -> dict[str, str]:
    """Fields `k8s_*`, and the queues of Kueue and Volcano."""
    host = places.variable("HOSTNAME") if places.variable("KUBERNETES_SERVICE_HOST") else ""
    pod = (
        places.attributes.get("k8s.pod.name") or places.variable("POD_NAME", "K8S_POD_NAME") or host
    )
    kind, owner = _owner(places, pod)
    queue = places.label("volcano.sh/queue-name", "scheduling.volcano.sh/queue-name")
    return {
        "k8s_pod": pod,
        "k8s_pod_uid": places.variable("POD_UID", "K8S_POD_UID"),
        "k8s_namespace": places.variable("POD_NAMESPACE", "K8S_NAMESPACE") or places.text(_ACCOUNT),
        "k8s_node": places.variable("NODE_NAME", "K8S_NODE_NAME"),
        "k8s_container": places.variable("K8S_CONTAINER_NAME"),
        "k8s_owner_kind": kind,
        "k8s_owner": owner,
        "kueue_queue": places.label("kueue.x-k8s.io/queue-name"),
        "volcano_job": places.label("volcano.sh/job-name"),
        "volcano_queue": queue,
    }


def _owner(places: Places, pod: str) -> tuple[str, str]:
    """Kind and name of the owner: as told, else from the labels that its controller sets."""
    for key, kind in _OWNERS:
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
