"""A node as people have them: kubelet, containerd, runc, kube-proxy and CoreDNS on a machine of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.machine import ADDRESS, CGROUP, HOST, PODS, SERVICES, Machine, machine
from tests.containers.engine import missing as missing_engine
from tests.containers.engine import tools
from tests.real_servers.cluster.control_plane import Kubernetes, program, start
from tests.support.waiting import eventually

NAME = "rag-node"
TOOLS = ("go", "etcd", "kubectl", "conntrack", "ipset", "nsenter", "unshare", "ip")
_PLUGINS = Path("/usr/lib/cni")
_SOCKET = "/run/containerd/containerd.sock"
_COREDNS = Path(__file__).parent / "coredns"
_RESOURCES = {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"}


def missing() -> str | None:
    """Why no node can be had here; None when one can."""
    if why := missing_engine():
        return why
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    absent += [] if (_PLUGINS / "bridge").exists() else ["the network plugins"]
    packages = "etcd-server kubernetes-client conntrack ipset iproute2 containernetworking-plugins"
    return f"needs {', '.join(absent)} (Debian: {packages})" if absent else None


@dataclass(frozen=True, slots=True)
class Cluster:
    """One control plane with one node."""

    kubernetes: Kubernetes
    machine: Machine

    def kubectl(self, *words: str, given: str = "") -> str:
        """What kubectl prints; its errors are the test's failure."""
        command = ["kubectl", "--kubeconfig", str(self.kubernetes.kubeconfig), *words]
        result = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"kubectl {' '.join(words[:5])}: {result.stderr[-2000:]}"
        return result.stdout

    def objects(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", "-o", "json", *words))["items"]
        return found

    def namespace(self, name: str, **labels: str) -> None:
        """A new one, in which pods can be made."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self.kubectl("apply", "-f", "-", given=json.dumps(body))
        self.kubectl("-n", name, "wait", "--for=create", "serviceaccount/default", "--timeout", "60s")

    def ctr(self, *words: str) -> str:
        """The client of containerd, in the namespace that the kubelet uses."""
        return self.machine.run(*self._ctr, *words)

    def load(self, environment: dict[str, str], *images: str) -> None:
        """Copy images from the engine that built them."""
        with subprocess.Popen(["docker", "save", *images], env=environment, stdout=subprocess.PIPE) as saved:
            take = self.machine.command(*self._ctr, "images", "import", "-")
            taken = subprocess.run(take, stdin=saved.stdout, capture_output=True, text=True, check=False)
        assert taken.returncode == 0, taken.stderr[-3000:]

    @property
    def _ctr(self) -> tuple[str, ...]:
        return ("env", f"PATH={tools()['PATH']}", "ctr", "-a", _SOCKET, "-n", "k8s.io")

    def name(self, hosts: str) -> None:
        """Lines of a hosts file, which the cluster's DNS answers from."""
        (self.machine.folder / "hosts").write_text(hosts)

    def start_kubelet(self) -> None:
        folder, config = self.machine.folder, str(self.kubernetes.kubeconfig)
        words = ["kubelet", "--config", str(folder / "kubelet.yaml"), "--kubeconfig", config]
        words += ["--hostname-override", NAME, "--node-ip", ADDRESS]
        words += ["--node-labels", "topology.kubernetes.io/zone=zone-0"]
        self.machine.start("kubelet", str(program()), *words)

    @contextmanager
    def policies(self) -> Iterator[None]:
        """Network policies are enforced for as long as the block lasts."""
        words = ["policies", "--kubeconfig", str(self.kubernetes.kubeconfig), "--hostname-override", NAME]
        self.machine.start("policies", str(program()), *words, "--service-cluster-ip-range", SERVICES)
        yield
        self.machine.kill("policies")
        self.machine.run("sh", "-c", "iptables-save | grep -vE 'KUBE-(ROUTER|NWPLCY|POD-FW)' | iptables-restore")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A running one, with everything that runs in it gone afterwards."""
    with ExitStack() as running:
        node = running.enter_context(machine(folder))
        api = ["--advertise-address", HOST, "--kubelet-preferred-address-types", "InternalIP"]
        kubernetes = start(folder, running, HOST, api, [])
        known = Cluster(kubernetes, node)
        _start_containerd(node)
        _write_kubelet(folder)
        known.start_kubelet()
        _start_network(known)
        assert eventually(lambda: _is_ready(known), seconds=300), node.log("kubelet").read_text()[-3000:]
        yield known


def _is_ready(known: Cluster) -> bool:
    nodes = known.objects("nodes")
    conditions = [one for node in nodes for one in node["status"].get("conditions", []) if one["type"] == "Ready"]
    return any(one["status"] == "True" for one in conditions)


def _start_containerd(node: Machine) -> None:
    network = {
        "cniVersion": "0.4.0", "name": "pods", "type": "bridge", "bridge": "pods", "isGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }  # fmt: skip
    (node.folder / "cni").mkdir()
    (node.folder / "cni" / "pods.conf").write_text(json.dumps(network))
    config = node.folder / "containerd.toml"
    # A machine without CAP_SYS_RESOURCE may lower no process's chance to be killed.
    config.write_text(f"""version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "docker.io/rag-test/pause:local"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{_PLUGINS}"
conf_dir = "{node.folder / "cni"}"
""")
    node.start("containerd", "env", f"PATH={tools()['PATH']}", "containerd", "--config", str(config))
    assert eventually(Path(f"/proc/{node.init}/root{_SOCKET}").exists), node.log("containerd").read_text()[-3000:]


def _write_kubelet(folder: Path) -> None:
    (folder / "resolv.conf").write_text("")
    config = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(folder / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": _RESOURCES,
        "runtimeRequestTimeout": "10m",
    }
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(config))


def _start_network(known: Cluster) -> None:
    config, folder = str(known.kubernetes.kubeconfig), known.machine.folder
    # Sizes of the connection table are the whole machine's.
    proxy = ["--kubeconfig", config, "--hostname-override", NAME, "--cluster-cidr", PODS, "--proxy-mode", "iptables"]
    proxy += ["--conntrack-max-per-core=0", "--conntrack-min=0"]
    proxy += ["--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s"]
    known.machine.start("proxy", str(program()), "proxy", *proxy)
    (folder / "hosts").write_text("")
    hosts = f"hosts {folder / 'hosts'} example.com {{\nreload 1s\nttl 1\n}}"
    services = f"kubernetes cluster.local {{\nkubeconfig {config}\n}}"
    (folder / "Corefile").write_text(f".:53 {{\nerrors\ncache 5\nloadbalance\n{hosts}\n{services}\n}}\n")
    known.machine.start("coredns", str(program(_COREDNS)), "-conf", str(folder / "Corefile"))
