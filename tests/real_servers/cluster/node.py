"""A node of the cluster, as far as the tests need one.

Real, as their live objects say: the gateways (Envoy with the configuration of their init container, the watched routes
laid out with symlinks, the preStop hook) and the deployer with its Job (our program, with the token of its account).
Stood in for: query servers (`query_stand_in`). Everything else is ready at once, and its Jobs succeed.

Pods have addresses of the loopback network, so that nothing here needs root.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import make_url

from ragctl.gateway.program import ENVOY_FLAGS, envoy_path
from ragctl.rollout.metrics import fetch
from tests.real_servers.cluster.control_plane import Kubernetes, kubeconfig
from tests.real_servers.cluster.names import NameServer
from tests.real_servers.cluster.query_stand_in import QueryStandIn

NODE = "loopback-0"
Object = dict[str, Any]
_CAPACITY = {"cpu": "500", "memory": "2Ti", "pods": "500", "ephemeral-storage": "1Ti"}
_EVERYWHERE = "0.0.0.0"  # noqa: S104  replaced
_addresses = itertools.count(10)


@dataclass
class Pod:
    """A pod that runs here. `end` stops it and returns when it is gone."""

    address: str
    ready: Callable[[], bool] = lambda: True
    exit_code: Callable[[], int | None] = lambda: None
    end: Callable[[], None] = lambda: None
    follow: Callable[[], None] = lambda: None
    """Brings mounted files up to date, as a kubelet does now and then."""
    waits: str = ""
    """Why its containers do not start."""
    ending: bool = False


@dataclass
class Node:
    """Runs the pods of one namespace.

    `broken`: images whose servers end at every start. `unready`: images whose servers answer calls and no probes.
    """

    kubernetes: Kubernetes
    namespace: str
    folder: Path
    broken: set[str] = field(default_factory=set)
    unready: set[str] = field(default_factory=set)
    pods: dict[str, Pod] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    """What pods waited for, last."""
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        from kubernetes import client, config

        api = config.new_client_from_config(str(self.kubernetes.kubeconfig))
        self.core, self.apps = client.CoreV1Api(api), client.AppsV1Api(api)
        self._stop = threading.Event()
        self._network = f"127.{60 + os.getpid() % 150}"
        self.names = NameServer(f"{self._network}.0.2", self._resolve)
        self._thread = threading.Thread(target=self._work)
        self._leaving: list[threading.Thread] = []
        self._known: list[Object] = []
        self._services: dict[str, Object] = {}

    def start(self) -> None:
        labels = {"kubernetes.io/hostname": NODE, "topology.kubernetes.io/zone": "zone-0"}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": labels}}
        self.core.create_node(body)
        condition = {"type": "Ready", "status": "True", "lastHeartbeatTime": _now(), "lastTransitionTime": _now()}
        status = {"capacity": _CAPACITY, "allocatable": _CAPACITY, "conditions": [condition]}
        self.core.patch_node_status(NODE, {"status": status})
        self.core.patch_node(NODE, {"spec": {"taints": None}})
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        for thread in self._leaving:
            thread.join()
        for pod in self.pods.values():
            if not pod.ending:
                pod.end()
        self.names.close()
        self.core.delete_node(NODE)

    def endpoints(self, **labels: str) -> list[str]:
        """Addresses of ready pods with these labels, as a Service would send to them."""
        wanted = {f"app.kubernetes.io/{name}": value for name, value in labels.items()}
        return [pod["status"]["podIP"] for pod in self._selected(wanted) if _is_endpoint(pod)]

    def _resolve(self, name: str) -> list[str]:
        """As the cluster's DNS answers for a headless Service."""
        spec = self._services.get(name.split(".")[0])
        if spec is None or not spec.get("selector"):
            return []
        pods = [pod for pod in self._selected(spec["selector"]) if pod.get("status", {}).get("podIP")]
        return [pod["status"]["podIP"] for pod in pods if spec.get("publishNotReadyAddresses") or _is_endpoint(pod)]

    def _selected(self, labels: dict[str, str]) -> list[Object]:
        return [pod for pod in self._known if labels.items() <= pod["metadata"].get("labels", {}).items()]

    def _work(self) -> None:
        while not self._stop.wait(0.2):
            try:
                self._known = self._list(self.core.list_namespaced_pod)
                services = self._list(self.core.list_namespaced_service)
                self._services = {item["metadata"]["name"]: item["spec"] for item in services}
                for pod in self._known:
                    self._step_if_there(pod)
            except Exception as error:
                self.problems.append(f"{type(error).__name__}: {error}"[:2000])

    def _list(self, ask: Callable[..., Any]) -> list[Object]:
        found: list[Object] = json.loads(ask(self.namespace, _preload_content=False).data)["items"]
        return found

    def _step_if_there(self, pod: Object) -> None:
        from kubernetes.client import ApiException

        try:
            self._step(pod)
        except ApiException as error:  # it, or what it mounts, was deleted since it was listed
            if error.status != 404:
                raise
            self.waiting[pod["metadata"]["name"]] = str(error)[:500]

    def _step(self, pod: Object) -> None:
        identity, name = pod["metadata"]["uid"], pod["metadata"]["name"]
        if not pod["spec"].get("nodeName") or pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}:
            if pod["metadata"].get("deletionTimestamp"):
                self._remove(name)
            return
        known = self.pods.get(identity)
        if pod["metadata"].get("deletionTimestamp"):
            self._end(identity, name, known)
            return
        if known is None:
            if absent := self._absent(pod):  # a kubelet tries again, too
                self.waiting[name] = absent
                return
            known = self.pods[identity] = self._begin(pod)
        known.follow()
        self._report(pod, known)

    def _end(self, identity: str, name: str, known: Pod | None) -> None:
        if known is None or known.ending:
            if known is None:
                self._remove(name)
            return
        known.ending = True

        def leave() -> None:
            known.end()
            self._remove(name)

        thread = threading.Thread(target=leave)
        self._leaving.append(thread)
        thread.start()

    def _remove(self, name: str) -> None:
        from kubernetes.client import ApiException

        try:
            self.core.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)
        except ApiException as error:
            if error.status != 404:
                raise

    def _report(self, pod: Object, known: Pod) -> None:
        code, ready = known.exit_code(), known.ready()
        phase = "Running" if code is None else ("Failed" if code else "Succeeded")
        before = pod.get("status", {})
        conditions = {item["type"]: item["status"] for item in before.get("conditions", [])}
        if before.get("phase") == phase and conditions.get("Ready") == str(ready and code is None):
            return
        now = _now()
        truth = str(ready and code is None)
        states = {"Initialized": "True", "PodScheduled": "True", "ContainersReady": truth, "Ready": truth}
        state: Object = {"running": {"startedAt": now}}
        if known.waits:
            state = {"waiting": {"reason": known.waits}}
        if code is not None:
            times = {"startedAt": now, "finishedAt": now}
            state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", **times}}
        containers = [
            {"name": item["name"], "image": item["image"], "imageID": item["image"], "restartCount": 0, "state": state,
             "ready": ready and code is None, "started": True}
            for item in pod["spec"]["containers"]
        ]  # fmt: skip
        status = {
            "phase": phase,
            "podIP": known.address,
            "podIPs": [{"ip": known.address}],
            "startTime": before.get("startTime") or now,
            "conditions": [{"type": kind, "status": yes, "lastTransitionTime": now} for kind, yes in states.items()],
            "containerStatuses": containers,
        }
        self.core.patch_namespaced_pod_status(pod["metadata"]["name"], self.namespace, {"status": status})

    def _absent(self, pod: Object) -> str:
        """What the pod mounts or reads that is not there: a kubelet would wait for it too."""
        from kubernetes.client import ApiException

        try:
            for volume in pod["spec"].get("volumes", []):
                if "configMap" in volume:
                    self.core.read_namespaced_config_map(volume["configMap"]["name"], self.namespace)
                elif "secret" in volume:
                    self.core.read_namespaced_secret(volume["secret"]["secretName"], self.namespace)
            for container in pod["spec"]["containers"]:
                self._environment(container)
        except (ApiException, KeyError) as error:
            return f"{volume['name']}: {getattr(error, 'reason', error)}"
        return ""

    def _begin(self, pod: Object) -> Pod:
        number = next(_addresses)
        address = f"{self._network}.{number // 250}.{number % 250 + 1}"
        role = pod["metadata"].get("labels", {}).get("rag-platform/role", "")
        component = pod["metadata"].get("labels", {}).get("app.kubernetes.io/component", "")
        makers = {"query": self._query, "gateway": self._gateway, "deployer": self._program, "end-runs": self._program}
        if maker := makers.get(component) or makers.get(role):
            return maker(pod, address)
        ends = pod["spec"]["restartPolicy"] != "Always"
        return Pod(address, exit_code=lambda: 0 if ends else None)

    def _query(self, pod: Object, address: str) -> Pod:
        image = pod["spec"]["containers"][0]["image"]
        if image in self.broken:
            return Pod(address, ready=lambda: False, waits="CrashLoopBackOff")
        server = QueryStandIn(address, image)
        return Pod(address, ready=lambda: image not in self.unready, end=server.drain)

    def _program(self, pod: Object, address: str) -> Pod:
        """Our program with the token of the pod's service account."""
        (container,) = pod["spec"]["containers"]
        folder = self.folder / pod["metadata"]["name"]
        folder.mkdir()
        seconds = {"spec": {"audiences": ["https://kubernetes"], "expirationSeconds": 3600}}
        account = pod["spec"]["serviceAccountName"]
        token = self.core.create_namespaced_service_account_token(account, self.namespace, seconds).status.token
        config = folder / "kubeconfig"
        config.write_text(kubeconfig(self.kubernetes.server, self.kubernetes.authority, token))
        environment = {**_plain(), **self._environment(container), "KUBECONFIG": str(config), "HOME": str(folder)}
        environment |= {"RAG_HOME": str(folder / "home"), "DAGSTER_HOME": str(folder)}
        words = [*container["command"], *container.get("args", [])]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *words[1:]], env=environment, cwd=folder, stdout=log, stderr=log
            )
        return Pod(address, exit_code=process.poll, end=lambda: _end(process))

    def _gateway(self, pod: Object, address: str) -> Pod:
        """The init container's files, with this pod's address for all addresses, and our names; then Envoy."""
        (init,), (container,) = pod["spec"]["initContainers"], pod["spec"]["containers"]
        folder = self.folder / pod["metadata"]["name"]
        (folder / "static").mkdir(parents=True)
        environment = {**_plain(), **self._environment(init)}
        (source,) = [item["configMap"]["name"] for item in pod["spec"]["volumes"] if item["name"] == "jwks"]
        (folder / "jwks.json").write_text(
            self.core.read_namespaced_config_map(source, self.namespace).data["jwks.json"]
        )
        environment["RAG_JWT_PUBLIC_KEYS"] = str(folder / "jwks.json")
        command = [sys.executable, *init["command"][1:-1], str(folder / "static")]
        made = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder, check=False)
        assert made.returncode == 0, made.stderr
        file = folder / "static" / "envoy.yaml"
        text = file.read_text().replace("/etc/envoy/static", str(folder / "static"))
        text = text.replace("/etc/envoy/routes", str(folder / "routes"))
        text = text.replace("/tmp/envoy-9901.sock", "admin.sock")  # noqa: S108  each pod has a /tmp of its own
        text = text.replace(_EVERYWHERE, address).replace("127.0.0.1", address)
        file.chmod(0o644)
        file.write_text(yaml.safe_dump({**yaml.safe_load(text), "typed_dns_resolver_config": self.names.resolver}))
        self._lay_out_routes(folder / "routes")
        envoy = [str(envoy_path()), "-c", str(file), *ENVOY_FLAGS]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(envoy, stdout=log, stderr=log, cwd=folder)
        stop = [word.replace("127.0.0.1", address) for word in container["lifecycle"]["preStop"]["exec"]["command"]]

        def end() -> None:
            subprocess.run(stop, capture_output=True, check=False)
            _end(process)

        def ready() -> bool:
            return process.poll() is None and fetch(f"http://{address}:9902/ready") is not None

        return Pod(address, ready, process.poll, end, lambda: self._lay_out_routes(folder / "routes"))

    def _lay_out_routes(self, folder: Path) -> None:
        """As a kubelet does: a new folder, then the link `..data` is renamed onto it."""
        data = self.core.read_namespaced_config_map("rag-rag-platform-gateway-routes", self.namespace).data
        folder.mkdir(exist_ok=True)
        known = folder / "..data" / "routes.yaml"
        if known.exists() and known.read_text() == data["routes.yaml"]:
            return
        real = folder / f"..{time.time_ns()}"
        real.mkdir()
        (real / "routes.yaml").write_text(data["routes.yaml"])
        (folder / "..data_tmp").symlink_to(real.name)
        (folder / "..data_tmp").rename(folder / "..data")
        if not (folder / "routes.yaml").is_symlink():
            (folder / "routes.yaml").symlink_to("..data/routes.yaml")

    def _environment(self, container: Object) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            found |= self.core.read_namespaced_config_map(source["configMapRef"]["name"], self.namespace).data
        for item in container.get("env", []):
            if "value" in item:
                found[item["name"]] = item["value"]
            elif asked := item.get("valueFrom", {}).get("secretKeyRef"):
                data = self.core.read_namespaced_secret(asked["name"], self.namespace).data or {}
                if asked["key"] in data:
                    found[item["name"]] = base64.b64decode(data[asked["key"]]).decode()
                elif not asked.get("optional"):
                    raise KeyError(f"{asked['name']}/{asked['key']}")
        return found


def with_password(url: str) -> str:
    """Production asks for one; the server of the tests does not look at it."""
    return make_url(url).set(password=secrets.token_urlsafe(40)).render_as_string(hide_password=False)


def _plain() -> dict[str, str]:
    """The environment of a container, which has nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "KUBE"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}"}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _is_endpoint(pod: Object) -> bool:
    conditions = {item["type"]: item["status"] for item in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and not pod["metadata"].get("deletionTimestamp")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
