"""A node as people have them: kubelet, containerd, runc, kube-proxy and CoreDNS on a machine of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.machine import FIRST, PODS, SECOND, SERVICES, Machine, connect, machine
from tests.containers.engine import missing as missing_engine
from tests.containers.engine import tools
from tests.real_servers.cluster.control_plane import Kubernetes, installed, program, start
from tests.support.certificates import self_signed
from tests.support.waiting import eventually

TOOLS = ("go", "etcd", "kubectl", "conntrack", "ipset", "nsenter", "unshare", "ip")
_PLUGINS = Path("/usr/lib/cni")
_SOCKET = "/run/containerd/containerd.sock"
_COREDNS = Path(__file__).parent / "coredns"
PAUSE = "docker.io/rag-test/pause:local"
_METRICS = "sigs.k8s.io/metrics-server/cmd/metrics-server@v0.8.0"
_METRICS_PORT = 4443
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
    """One control plane with one node, and a second one while `joined`."""

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
        self._import(self.machine, ["docker", "save", *images], environment)

    def _import(self, machine: Machine, command: Sequence[str], environment: dict[str, str] | None = None) -> None:
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as saved:
            take = machine.command(*self._ctr, "images", "import", "-")
            taken = subprocess.run(take, stdin=saved.stdout, capture_output=True, text=True, check=False)
        assert taken.returncode == 0, taken.stderr[-3000:]

    @property
    def _ctr(self) -> tuple[str, ...]:
        return ("env", f"PATH={tools()['PATH']}", "ctr", "-a", _SOCKET, "-n", "k8s.io")

    def name(self, hosts: str) -> None:
        """Lines of a hosts file, which the cluster's DNS answers from."""
        (self.machine.folder / "hosts").write_text(hosts)

    def start_kubelet(self, on: Machine | None = None) -> None:
        machine = on or self.machine
        config, zone = str(self.kubernetes.kubeconfig), f"zone-{(FIRST, SECOND).index(machine.place)}"
        words = ["kubelet", "--config", str(machine.folder / "kubelet.yaml"), "--kubeconfig", config]
        words += ["--hostname-override", machine.place.name, "--node-ip", machine.place.address]
        words += ["--node-labels", f"topology.kubernetes.io/zone={zone}"]
        machine.start("kubelet", str(program()), *words)

    def start_node(self, on: Machine) -> None:
        """Start what makes a machine a node, and wait until it is one."""
        _start_containerd(on)
        _write_kubelet(on)
        self.start_kubelet(on)
        _start_proxy(on, str(self.kubernetes.kubeconfig))
        if on is self.machine:
            _start_names(on, str(self.kubernetes.kubeconfig))
        assert eventually(lambda: self._is_ready(on), seconds=300), on.log("kubelet").read_text()[-3000:]

    def _is_ready(self, machine: Machine) -> bool:
        nodes = [node for node in self.objects("nodes") if node["metadata"]["name"] == machine.place.name]
        conditions = [one for node in nodes for one in node["status"].get("conditions", []) if one["type"] == "Ready"]
        return any(one["status"] == "True" for one in conditions)

    @contextmanager
    def joined(self, images: Sequence[str]) -> Iterator[Machine]:
        """A second node for as long as the block lasts, with images of the first by their names there."""
        try:
            with machine(self.machine.folder / SECOND.name, SECOND) as second:
                connect(self.machine, second)
                self.start_node(second)
                self._import(second, self.machine.command(*self._ctr, "images", "export", "-", PAUSE, *images))
                yield second
        finally:
            self.kubectl("delete", "node", SECOND.name, "--ignore-not-found")

    @contextmanager
    def policies(self) -> Iterator[None]:
        """Network policies are enforced for as long as the block lasts."""
        words = ["policies", "--kubeconfig", str(self.kubernetes.kubeconfig), "--hostname-override", FIRST.name]
        self.machine.start("policies", str(program()), *words, "--service-cluster-ip-range", SERVICES)
        yield
        self.machine.kill("policies")
        self.machine.run("sh", "-c", "iptables-save | grep -vE 'KUBE-(ROUTER|NWPLCY|POD-FW)' | iptables-restore")

    @contextmanager
    def metrics(self) -> Iterator[None]:
        """The metrics server measures pods for as long as the block lasts."""
        config, port = str(self.kubernetes.kubeconfig), str(_METRICS_PORT)
        words = [str(installed(_METRICS)), "--secure-port", port, "--cert-dir", str(self.machine.folder / "metrics")]
        words += ["--kubeconfig", config, "--authentication-kubeconfig", config, "--authorization-kubeconfig", config]
        words += ["--kubelet-insecure-tls", "--kubelet-preferred-address-types", "InternalIP"]
        self.machine.start("metrics", *words)
        for body in _metrics_api(self.machine.place.address):
            self.kubectl("apply", "-f", "-", given=json.dumps(body))
        self.kubectl("wait", "--for=condition=Available", "apiservice", _METRICS_API, "--timeout", "120s")
        yield
        self.kubectl("delete", "apiservice", _METRICS_API)
        self.machine.kill("metrics")


_METRICS_API = "v1beta1.metrics.k8s.io"


def _metrics_api(address: str) -> list[dict[str, Any]]:
    """Where the API finds the metrics server."""
    named, ports = {"name": "metrics-server", "namespace": "kube-system"}, [{"port": _METRICS_PORT}]
    version = {"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100}
    service = {"service": {**named, "port": _METRICS_PORT}, "insecureSkipTLSVerify": True}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": named, "spec": {"ports": ports}},
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": named,
         "subsets": [{"addresses": [{"ip": address}], "ports": ports}]},
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": _METRICS_API},
         "spec": version | service},
    ]  # fmt: skip


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A running one, with everything that runs in it gone afterwards."""
    with ExitStack() as running:
        node = running.enter_context(machine(folder))
        certificate, key = map(str, self_signed(folder, "aggregator"))
        api = ["--advertise-address", FIRST.host, "--kubelet-preferred-address-types", "InternalIP"]
        # The API calls the metrics server under this certificate, by the address behind its Service.
        api += ["--enable-aggregator-routing", "--proxy-client-cert-file", certificate, "--proxy-client-key-file", key]
        api += ["--requestheader-client-ca-file", certificate, "--requestheader-username-headers", "X-Remote-User"]
        api += ["--requestheader-group-headers", "X-Remote-Group"]
        known = Cluster(start(folder, running, FIRST.host, api, []), node)
        known.start_node(node)
        yield known


def _start_containerd(node: Machine) -> None:
    network = {
        "cniVersion": "0.4.0", "name": "pods", "type": "bridge", "bridge": "pods", "isGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": node.place.pods}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }  # fmt: skip
    (node.folder / "cni").mkdir()
    (node.folder / "cni" / "pods.conf").write_text(json.dumps(network))
    config = node.folder / "containerd.toml"
    # A machine without CAP_SYS_RESOURCE may lower no process's chance to be killed.
    config.write_text(f"""version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{_PLUGINS}"
conf_dir = "{node.folder / "cni"}"
""")
    node.start("containerd", "env", f"PATH={tools()['PATH']}", "containerd", "--config", str(config))
    assert eventually(Path(f"/proc/{node.init}/root{_SOCKET}").exists), node.log("containerd").read_text()[-3000:]


def _write_kubelet(node: Machine) -> None:
    folder = node.folder
    (folder / "resolv.conf").write_text("")
    config = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.place.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [FIRST.address],
        "clusterDomain": "cluster.local",
        "resolvConf": str(folder / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": _RESOURCES,
        "runtimeRequestTimeout": "10m",
    }
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(config))


def _start_proxy(node: Machine, config: str) -> None:
    # Sizes of the connection table are the whole machine's.
    words = ["--kubeconfig", config, "--hostname-override", node.place.name, "--cluster-cidr", PODS]
    words += ["--proxy-mode", "iptables", "--conntrack-max-per-core=0", "--conntrack-min=0"]
    words += ["--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s"]
    node.start("proxy", str(program()), "proxy", *words)


def _start_names(node: Machine, config: str) -> None:
    folder = node.folder
    (folder / "hosts").write_text("")
    hosts = f"hosts {folder / 'hosts'} example.com {{\nreload 1s\nttl 1\n}}"
    services = f"kubernetes cluster.local {{\nkubeconfig {config}\n}}"
    (folder / "Corefile").write_text(f".:53 {{\nerrors\ncache 5\nloadbalance\n{hosts}\n{services}\n}}\n")
    node.start("coredns", str(program(_COREDNS)), "-conf", str(folder / "Corefile"))
