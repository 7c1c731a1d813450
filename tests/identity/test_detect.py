"""Where a process runs, from made-up roots that look like real ones."""

import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.conventions.identity import ATTRIBUTES, IDENTITY, IDENTITY_SINCE, OWNERS
from otel_llm.facts.identity import MAX_BYTES, MAX_TEXT, Identity
from otel_llm.identity import detect, survey

ID = "0f" * 32
POD = "6a5d6a0e-3f25-4f3b-9c1d-0d8c5f8b1e11"


def root(folder: Path, **files: str) -> Path:
    """A root with these files; `__` in a name is a slash."""
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def known(folder: Path, **environment: str) -> dict[str, str]:
    """What is found beside the architecture."""
    found = detect(root=folder, environment=environment)
    names = (*Identity.__struct_fields__,)
    values = {name: getattr(found, name) for name in names}
    return {name: value for name, value in values.items() if value and name != "host_arch"}


CGROUPS = {
    # cgroup v1, docker
    "docker": (f"12:memory:/docker/{ID}\n0::/system.slice/docker.service\n", "docker", ""),
    # cgroup v2 by systemd, docker
    "docker-v2": (f"0::/system.slice/docker-{ID}.scope\n", "docker", ""),
    # Kubernetes with containerd, cgroup v1
    "containerd": (f"11:cpu:/kubepods/burstable/pod{POD}/{ID}\n", "", POD),
    # Kubernetes with containerd and systemd, cgroup v2
    "cri-containerd": (
        "0::/kubepods.slice/kubepods-burstable.slice/"
        f"kubepods-burstable-pod{POD.replace('-', '_')}.slice/cri-containerd-{ID}.scope\n",
        "containerd", POD,
    ),
    # OpenShift
    "cri-o": (f"0::/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/crio-{ID}.scope\n",
              "cri-o", POD),
    "podman": (f"0::/machine.slice/libpod-{ID}.scope\n", "podman", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CGROUPS)
def test_containers_by_cgroup(tmp_path: Path, name: str) -> None:
    """Each runtime's way to name a cgroup."""
    text, runtime, pod = CGROUPS[name]
    found = known(root(tmp_path, proc__self__cgroup=text))
    expected = {"container_id": ID, "container_runtime": runtime, "k8s_pod_uid": pod}
    assert found == {key: value for key, value in expected.items() if value}


def test_a_container_with_a_cgroup_namespace(tmp_path: Path) -> None:
    """With cgroup v2 the id stands in the mounts alone."""
    mounts = (
        "615 600 254:1 / /etc rw - ext4 /dev/vda1 rw\n"
        f"620 600 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 x rw\n"
    )
    found = known(root(tmp_path, proc__self__cgroup="0::/\n", proc__self__mountinfo=mounts))
    assert found == {"container_id": ID, "container_runtime": "docker"}


def test_a_bare_host(tmp_path: Path) -> None:
    """Nothing is made up."""
    text = "0::/user.slice/user-1000.slice/session-2.scope\n"
    assert known(root(tmp_path, proc__self__cgroup=text), HOSTNAME="desk") == {}


LABELS = (
    'app="chat"\npod-template-hash="7d9c"\nkueue.x-k8s.io/queue-name="gold"\n'
    'volcano.sh/job-name="vj"\nvolcano.sh/queue-name="vq"\n'
    'node.kubernetes.io/instance-type="p5.48xlarge"\ntopology.kubernetes.io/region="us-east-1"\n'
    'topology.kubernetes.io/zone="us-east-1a"\nkarpenter.sh/capacity-type="spot"\n'
)


def test_a_pod_by_the_downward_api(tmp_path: Path) -> None:
    """Variables and labels, as the manifest in docs/identity.md gives them."""
    found = known(
        root(tmp_path, etc__podinfo__labels=LABELS),
        POD_NAME="chat-7d9c-x2x2z", POD_NAMESPACE="serving", NODE_NAME="n1", POD_UID=POD,
        K8S_CONTAINER_NAME="vllm",
    )  # fmt: skip
    assert found == {
        "k8s_pod": "chat-7d9c-x2x2z", "k8s_pod_uid": POD, "k8s_namespace": "serving",
        "k8s_node": "n1", "k8s_container": "vllm", "k8s_owner_kind": "Deployment",
        "k8s_owner": "chat", "kueue_queue": "gold", "volcano_job": "vj", "volcano_queue": "vq",
        "cloud_region": "us-east-1", "cloud_zone": "us-east-1a",
        "cloud_instance_type": "p5.48xlarge", "cloud_spot": "true",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "pod", "owner"),
    [
        ('statefulset.kubernetes.io/pod-name="db-12"', "db-12", ("StatefulSet", "db")),
        ('controller-revision-hash="abc"', "agent-x7k2p", ("DaemonSet", "agent")),
        ('batch.kubernetes.io/job-name="train"', "train-abcde", ("Job", "train")),
        ('app="x"', "alone", ("", "")),
    ],
)
def test_owners(tmp_path: Path, labels: str, pod: str, owner: tuple[str, str]) -> None:
    """By the labels that each controller sets."""
    found = detect(root=root(tmp_path, etc__podinfo__labels=labels), environment={"POD_NAME": pod})
    assert (found.k8s_owner_kind, found.k8s_owner) == owner


def test_a_pod_without_help(tmp_path: Path) -> None:
    """The host name is the pod's, the namespace stands beside the account's token."""
    path = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount/namespace"
    path.parent.mkdir(parents=True)
    path.write_text("serving\n")
    found = known(tmp_path, KUBERNETES_SERVICE_HOST="10.0.0.1", HOSTNAME="chat-0")
    assert found == {"k8s_pod": "chat-0", "k8s_namespace": "serving"}


def test_the_operator_s_attributes_come_first(tmp_path: Path) -> None:
    """What OTEL_RESOURCE_ATTRIBUTES says counts, percent-encoding undone."""
    told = (
        "k8s.pod.name=told,k8s.node.name=n%201,k8s.deployment.name=chat,cloud.provider=gcp,"
        "host.type=a3-highgpu-8g,otel_llm.model.version=v7,nonsense,=,a=b=c"
    )
    found = known(tmp_path, OTEL_RESOURCE_ATTRIBUTES=told, POD_NAME="other", NODE_NAME="other")
    assert found == {
        "k8s_pod": "told", "k8s_node": "n 1", "k8s_owner_kind": "Deployment", "k8s_owner": "chat",
        "cloud_provider": "gcp", "cloud_instance_type": "a3-highgpu-8g", "model_version": "v7",
    }  # fmt: skip


def test_slurm(tmp_path: Path) -> None:
    """What srun sets."""
    found = known(
        tmp_path, SLURM_JOB_ID="4711", SLURM_STEP_ID="0", SLURM_JOB_NAME="serve",
        SLURM_JOB_PARTITION="h100", SLURMD_NODENAME="gpu-07", SLURM_CLUSTER_NAME="c1",
        SLURM_JOB_ACCOUNT="lab", SLURM_ARRAY_JOB_ID="4711", SLURM_ARRAY_TASK_ID="3",
    )  # fmt: skip
    assert found == {
        "slurm_job_id": "4711", "slurm_step_id": "0", "slurm_job_name": "serve",
        "slurm_partition": "h100", "slurm_node": "gpu-07", "slurm_cluster": "c1",
        "slurm_account": "lab", "slurm_array_task": "4711_3",
    }  # fmt: skip


CLOUD_INIT = {
    "aws": (
        {"v1": {"cloud_name": "aws", "region": "eu-west-1", "availability_zone": "eu-west-1b"},
         "ds": {"meta_data": {"instance-type": "g6.xlarge"}}},
        ("aws", "eu-west-1", "eu-west-1b", "g6.xlarge", "", ""),
    ),
    "gce": (
        {"v1": {"cloud_name": "gce", "region": "us-central1", "availability_zone": "us-central1-a"},
         "ds": {}},
        ("gcp", "us-central1", "us-central1-a", "", "", ""),
    ),
    "azure": (
        {"v1": {"cloud_name": "azure", "region": "westeurope", "availability_zone": None},
         "ds": {"meta_data": {"compute": {"vmSize": "Standard_ND96isr_H100_v5"}}}},
        ("azure", "westeurope", "", "Standard_ND96isr_H100_v5", "", ""),
    ),
    "azure-imds": (
        {"v1": {"cloud_name": "azure", "instance_id": "5e0c", "region": None},
         "ds": {"meta_data": {"imds": {"compute": {
             "vmSize": "Standard_NC40ads_H100_v5", "location": "westeurope", "zone": "2",
             "priority": "Spot"}}}}},
        ("azure", "westeurope", "2", "Standard_NC40ads_H100_v5", "true", "5e0c"),
    ),
    "azure-regular": (
        {"v1": {"cloud_name": "azure"},
         "ds": {"meta_data": {"imds": {"compute": {"priority": "Regular"}}}}},
        ("azure", "", "", "", "false", ""),
    ),
    "aws-spot": (
        {"v1": {"cloud_name": "aws", "instance_id": "i-1"},
         "ds": {"meta_data": {"instance-life-cycle": "spot"}}},
        ("aws", "", "", "", "true", "i-1"),
    ),
    "aws-on-demand": (
        {"v1": {"cloud_name": "aws"}, "ds": {"meta_data": {"instance-life-cycle": "on-demand"}}},
        ("aws", "", "", "", "false", ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("cloud", CLOUD_INIT)
def test_cloud_init(tmp_path: Path, cloud: str) -> None:
    """What cloud-init wrote at boot, of three providers: machine, place, and how it was bought."""
    told, expected = CLOUD_INIT[cloud]
    path = tmp_path / "run/cloud-init/instance-data.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(told))
    found = detect(root=tmp_path, environment={})
    assert (
        found.cloud_provider, found.cloud_region, found.cloud_zone, found.cloud_instance_type,
        found.cloud_spot, found.host_id,
    ) == expected  # fmt: skip


def test_the_firmware(tmp_path: Path) -> None:
    """On EC2 the product's name is the machine's type; elsewhere it is not taken for one."""
    files = {"sys__class__dmi__id__sys_vendor": "Amazon EC2"}
    found = known(root(tmp_path, **files, sys__class__dmi__id__product_name="p5.48xlarge"))
    assert found == {"cloud_provider": "aws", "cloud_instance_type": "p5.48xlarge"}
    (tmp_path / "sys/class/dmi/id/sys_vendor").write_text("Google\n")
    assert known(tmp_path) == {"cloud_provider": "gcp"}


def test_spot_may_be_told_not_to_be(tmp_path: Path) -> None:
    """`false` is told, empty is not known."""
    labels = 'karpenter.sh/capacity-type="on-demand"\n'
    assert known(root(tmp_path, etc__podinfo__labels=labels)) == {"cloud_spot": "false"}


def test_driver_and_cuda(tmp_path: Path) -> None:
    """Both forms of the driver's line, and the image's variable."""
    for line in (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:16 UTC 2025",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build",
    ):
        folder = root(tmp_path, proc__driver__nvidia__version=line)
        found = known(folder, CUDA_VERSION="13.0.1")
        assert found == {"driver_version": "580.95.05", "cuda_version": "13.0.1"}


def test_every_attribute_counts_first(tmp_path: Path) -> None:
    """Whatever field OTEL_RESOURCE_ATTRIBUTES names, it is as it says."""
    told = ",".join(f"{key}=told-{field}" for field, key in ATTRIBUTES.items())
    found = detect("a", tmp_path, {"OTEL_RESOURCE_ATTRIBUTES": told, "SLURM_JOB_ID": "7"})
    assert {field: getattr(found, field) for field in ATTRIBUTES} == {
        field: f"told-{field}" for field in ATTRIBUTES
    }


SANDBOXES = (
    "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{}/hostname",
    "/containers/storage/overlay-containers/{}/userdata/hostname",
    "/var/lib/docker/containers/{}/hostname",
)


@pytest.mark.parametrize("source", SANDBOXES)
def test_the_sandbox_is_not_the_container(tmp_path: Path, source: str) -> None:
    """In a pod every runtime mounts its sandbox's files; that id is not taken for our own."""
    mounts = f"620 600 254:1 {source.format(ID)} /etc/hostname rw - ext4 x rw\n"
    folder = root(tmp_path, proc__self__cgroup="0::/\n", proc__self__mountinfo=mounts)
    assert known(folder, KUBERNETES_SERVICE_HOST="10.0.0.1") == {}


def test_a_sandbox_without_kubernetes(tmp_path: Path) -> None:
    """Containerd's path names a sandbox, whoever asked for it."""
    mounts = f"620 600 254:1 {SANDBOXES[0].format(ID)} /etc/hostname rw - ext4 x rw\n"
    assert known(root(tmp_path, proc__self__mountinfo=mounts)) == {}


def test_a_pod_s_uid_by_its_mounts(tmp_path: Path) -> None:
    """The kubelet's mounts name it, and say that this is a pod."""
    mounts = (
        f"610 600 254:1 /var/lib/kubelet/pods/{POD}/etc-hosts /etc/hosts rw - ext4 x rw\n"
        f"620 600 254:1 {SANDBOXES[2].format(ID)} /etc/hostname rw - ext4 x rw\n"
    )
    folder = root(tmp_path, proc__self__cgroup="0::/\n", proc__self__mountinfo=mounts)
    assert known(folder, NODE_NAME="n1") == {"k8s_pod_uid": POD, "k8s_node": "n1"}


def test_the_node_s_network(tmp_path: Path) -> None:
    """With `hostNetwork` the host name is the node's: no pod is made of it."""
    hosts = "# Kubernetes-managed hosts file{}.\n127.0.0.1\tlocalhost\n"
    given = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "gpu-node-7"}
    folder = root(tmp_path, etc__hosts=hosts.format(" (host network)"))
    assert known(folder, **given) == {}
    assert known(folder, **given, POD_NAME="chat-0") == {"k8s_pod": "chat-0"}
    assert known(root(tmp_path, etc__hosts=hosts.format("")), **given) == {"k8s_pod": "gpu-node-7"}


def test_names_that_mean_something_else_elsewhere(tmp_path: Path) -> None:
    """Outside Kubernetes NODE_NAME may be a build server's; our own names count everywhere."""
    given = {"NODE_NAME": "jenkins-3", "POD_NAME": "x", "POD_NAMESPACE": "y", "POD_UID": "z"}
    assert known(tmp_path, **given) == {}
    ours = {"K8S_NODE_NAME": "n1", "K8S_NAMESPACE": "serving"}
    assert known(tmp_path, **given, **ours) == {"k8s_node": "n1", "k8s_namespace": "serving"}


def test_the_machine_s_id(tmp_path: Path) -> None:
    """Of a bare host alone: an image has one of its own."""
    folder = root(tmp_path, **{"etc__machine-id": "5e0c\n"})
    assert known(folder) == {"host_id": "5e0c"}
    assert known(folder, KUBERNETES_SERVICE_HOST="10.0.0.1") == {}
    for name in (".dockerenv", "run/.containerenv"):
        mark = folder / name
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        assert known(folder) == {}
        mark.unlink()


def test_ray(tmp_path: Path) -> None:
    """What Ray gives its workers, and KubeRay's label."""
    assert known(tmp_path, RAY_CLUSTER_NAME="c", RAY_JOB_ID="01000000") == {
        "ray_cluster": "c", "ray_job_id": "01000000",
    }  # fmt: skip
    labels = root(tmp_path, etc__podinfo__labels='ray.io/cluster="from-label"\n')
    assert known(labels) == {"ray_cluster": "from-label"}


COMMIT = "c" * 40


@pytest.mark.parametrize(
    ("source", "revision", "version"),
    [
        ("/hub/models--org--name/snapshots/" + COMMIT, "", COMMIT),
        ("/models/registered", "", "3"),
        ("/models/bare", "", ""),
        ("org/name", "", "main-commit"),
        ("org/name", "v2", "v2-commit"),
        ("org/other", "v2", "v2"),
        ("../../etc", "", ""),
        ("", "", ""),
    ],
)
def test_the_model_s_version(tmp_path: Path, source: str, revision: str, version: str) -> None:
    """What MLflow and Hugging Face leave beside a model; else the revision that was asked for."""
    refs = "hf__hub__models--org--name__refs__"
    folder = root(
        tmp_path, models__registered__registered_model_meta="model_name: m\nmodel_version: '3'\n",
        etc__registered_model_meta="model_version: 7\n",
        **{f"{refs}main": "main-commit\n", f"{refs}v2": "v2-commit\n"},
    )  # fmt: skip
    found = detect(
        "", folder, {"HF_HOME": "/hf"}, model_source=source, model_revision=revision
    )  # fmt: skip
    assert found.model_version == version
    assert detect("told", folder, {}, model_source=source).model_version == "told"


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Files that are not there are nobody's fault; the others are named, with the reason."""
    folder = root(tmp_path, **{"run__cloud-init__instance-data.json": "{"})
    (folder / "proc/self/cgroup").mkdir(parents=True)
    loop = folder / "etc/podinfo/labels"
    loop.parent.mkdir(parents=True)
    loop.symlink_to(loop)
    assert dict(survey("", folder, {}).unreadable) == {
        "etc/podinfo/labels": "Too many levels of symbolic links",
        "proc/self/cgroup": "it is no plain file",
        "run/cloud-init/instance-data.json": "it is no JSON",
    }


def test_every_field_is_declared() -> None:
    """Fields, columns and attributes are the same names; the owner's hangs on its kind."""
    fields = set(Identity.__struct_fields__)
    assert {told.column.name for told in (*IDENTITY, *IDENTITY_SINCE)} == fields
    assert fields - set(ATTRIBUTES) == {"k8s_owner_kind", "k8s_owner"}
    for kind, key in OWNERS.items():
        assert dict(Identity(k8s_owner_kind=kind, k8s_owner="x").attributes()) == {key: "x"}


def test_nested_containers(tmp_path: Path) -> None:
    """In a node that is a container itself, the last id is ours."""
    text = f"0::/docker/{'1' * 64}/kubelet/kubepods/pod{POD}/{ID}\n"
    assert known(root(tmp_path, proc__self__cgroup=text))["container_id"] == ID


def test_a_fifo_holds_nobody_up(tmp_path: Path) -> None:
    """A fifo or a folder in a file's place is not read, and not waited for."""
    path = tmp_path / "etc/podinfo/labels"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    (tmp_path / "proc/self/cgroup").mkdir(parents=True)
    assert known(tmp_path) == {}


def test_spot_on_eks(tmp_path: Path) -> None:
    """EKS writes its value in capitals."""
    labels = 'eks.amazonaws.com/capacityType="SPOT"\n'
    assert known(root(tmp_path, etc__podinfo__labels=labels)) == {"cloud_spot": "true"}


def test_the_setting_names_the_model_s_version(tmp_path: Path) -> None:
    """Where no attribute does."""
    assert detect("a", tmp_path, {}).model_version == "a"


@settings(deadline=None)  # it writes files
@given(st.binary(max_size=400), st.text(max_size=300), st.text(max_size=600))
def test_hostile_places(
    tmp_path_factory: pytest.TempPathFactory, blob: bytes, variable: str, attributes: str
) -> None:
    """Whatever files and variables hold, it ends, within bounds, in printable text."""
    folder = tmp_path_factory.mktemp("r")
    for name in (
        "proc/self/cgroup", "proc/self/mountinfo", "etc/podinfo/labels",
        "run/cloud-init/instance-data.json", "proc/driver/nvidia/version",
        "sys/class/dmi/id/sys_vendor",
    ):  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob)
    environment = {"POD_NAME": variable, "OTEL_RESOURCE_ATTRIBUTES": attributes}
    found = detect(root=folder, environment=environment)
    for name in ATTRIBUTES:
        value = getattr(found, name)
        assert len(value) <= MAX_TEXT
        assert value.isprintable()


@pytest.mark.parametrize("letter", ["x", '"', "\N{GRINNING FACE}"])
def test_a_journal_s_header_has_room(tmp_path: Path, letter: str) -> None:
    """The longest values of all fields, in whatever letters, are cut to fit beside the rest."""
    from urllib.parse import quote

    from otel_llm.journal.layout import MAX_PRODUCER_BYTES

    told = ",".join(f"{key}={quote(letter * MAX_TEXT)}" for key in ATTRIBUTES.values())
    found = detect("", tmp_path, {"OTEL_RESOURCE_ATTRIBUTES": told})
    size = len(msgspec.json.encode(found))
    assert MAX_BYTES / 3 < size <= MAX_BYTES < MAX_PRODUCER_BYTES / 2
    assert len(msgspec.msgpack.encode(found)) <= MAX_BYTES
    assert found.host_arch.startswith(letter)
