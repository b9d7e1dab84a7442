"""Installations of the chart on the real node, and the callers of their gateways."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from rag_core.settings import Settings
from ragctl.tokens import DEFAULT_TENANT, ensure_keys, mint_token
from tests.cluster.images import REGISTRY, ROLES
from tests.cluster.machine import FIRST, Place
from tests.cluster.node import Cluster
from tests.real_servers.cluster.control_plane import helm
from tests.support.chart import ROOT

_log = logging.getLogger("cluster")
OBJECTS = "rag-rag-platform"
PAGE = ROOT / "docs" / "how-to" / "deploy-to-kubernetes.md"
KINDS = "deployments,statefulsets,jobs,cronjobs,pods,services,configmaps,serviceaccounts,roles,rolebindings"
KINDS += ",networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,ingresses"
TIMEOUT = "20m"
QUESTION, ANSWER = "How many days of leave are there?", "thirty days"
_LEAVE = "# Leave\n\nEverybody has thirty days of leave in a year.\n"
SOURCE = """type: rag_assets.components.DocumentSource
attributes: {name: handbook, tenant: default, acl: [everyone], options: {kind: folder, root: /data/handbook}}
"""
_LITTLE = {"requests": {"cpu": "20m", "memory": "64Mi"}}
# As in the presets, what a caller waits for has a larger share of the processor than what starts beside it.
_MORE = {"requests": {"cpu": "100m", "memory": "128Mi"}}
_LIMITS = dict.fromkeys(("gateway_client_per_minute", "gateway_client_per_hour", "gateway_ip_per_minute"), 0)
CUT: dict[str, Any] = {
    # A release is watched for as long as a test can wait, and no slower machine than a cluster's makes it a bad one.
    "settings": {
        "deploy_watch_seconds": 5, "deploy_burst_requests": 10, "deploy_failing_seconds": 2,
        "deploy_ready_seconds": 600, "deploy_latency_seconds": 30, **_LIMITS,
    },
    "dagster": {
        "code": {"resources": _LITTLE}, "webserver": {"replicas": 1, "resources": _LITTLE}, "daemon": _LITTLE,
        "runs": {"resources": _LITTLE},
    },
    "query": {"autoscaling": {"minReplicas": 2, "maxReplicas": 3}, "resources": _MORE},
    "stream": {"replicas": 1, "resources": _LITTLE},
    "gateway": {"replicas": 2, "resources": _MORE},
    "interfaces": {"replicas": 1, "resources": _LITTLE},
    "console": {"resources": _LITTLE},
    "rollout": {"resources": _LITTLE},
    "jobs": {"resources": _LITTLE},
    "postgresql": {"resources": _MORE},
    "qdrant": {"resources": _MORE},
}  # fmt: skip
"""What two cores can hold of a preset."""


CALLERS = 5
AGAIN_SECONDS = 0.2
"""Pause before a call is sent again: a process that was killed takes connections until its last socket is closed."""


@dataclass
class Traffic:
    """Callers of the gateway's Service, each call on a new connection."""

    url: str
    token: str
    client: httpx.Client
    asks_again: bool = False
    """Ask again what was cut off in the middle; such calls are counted in `cut`."""
    answers: int = 0
    cut: int = 0
    failures: list[str] = field(default_factory=list)
    began: float = 0.0

    def note(self, what: str) -> None:
        """Log what happens, and how long after the questions began, so that it can be told what a failure followed."""
        _log.info("%s, after %.1f s", what, time.monotonic() - self.began)

    def ask(self) -> str:
        """The answer, or why there is none."""
        try:
            response = self._post()
        except httpx.HTTPError as error:
            return repr(error)
        return response.text if response.status_code == 200 else f"HTTP {response.status_code} {response.text[:300]}"

    def _post(self, *, again: bool = False) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}", "connection": "close"}
        try:
            return self.client.post(f"{self.url}/api/v1/query", json={"query": QUESTION}, headers=headers)
        except (httpx.ReadError, httpx.RemoteProtocolError) as error:
            if again or not self.asks_again:
                raise
            self.cut += 1
            self.note(f"cut off: {error!r}")
        time.sleep(AGAIN_SECONDS)
        return self._post(again=True)

    @contextmanager
    def flowing(self, what: str, callers: int = CALLERS) -> Iterator[None]:
        """A question a second of each caller for as long as the block lasts; all of them must be answered."""
        stop, self.began = threading.Event(), time.monotonic()

        def work() -> None:
            due = time.monotonic()
            while not stop.wait(max(0.0, due - time.monotonic())):
                due += 1
                said = self.ask()
                if ANSWER in said:
                    self.answers += 1
                else:
                    self.note(f"{what}: {said}")
                    self.failures.append(said)

        threads = [threading.Thread(target=work) for _ in range(callers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            took, failed = time.monotonic() - self.began, len(self.failures)
            calls = self.answers + failed
            _log.info("%s: %d calls, %d failed, %d cut off once, %.0f s", what, calls, failed, self.cut, took)
        assert self.failures[:5] == []


@dataclass
class Installation:
    """A preset in a namespace of its own."""

    cluster: Cluster
    folder: Path
    namespace: str
    preset: str
    images: dict[str, str]
    token: str

    def kubectl(self, *words: str, given: str = "") -> str:
        return self.cluster.kubectl("-n", self.namespace, *words, given=given)

    def secret(self, name: str, data: dict[str, str]) -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
        self.kubectl("apply", "-f", "-", given=json.dumps(body))

    def secrets(self, server: str, password: str, key: str) -> None:
        """What the programs read from Secrets, with PostgreSQL at a server and the key of the index."""
        main = {"RAG_DATABASE_URL": f"postgresql://rag:{password}@{server}:5432/rag", "POSTGRES_PASSWORD": password}
        main |= {"RAG_QDRANT_API_KEY": key, "RAG_INDEX_SECRET": index_secret(key), "RAG_DEPLOY_CREDENTIAL": self.token}
        main |= {name: secrets.token_urlsafe(40) for name in ("RAG_PAGE_TOKEN_SECRET", "RAG_HASH_SECRET")}
        self.secret("rag-platform", main)
        self.secret("rag-console", {"token": self.token})

    def values(self, tag: int, release: str = "") -> dict[str, Any]:
        """What `digests.yaml` holds for a tag, and the name of the release."""
        images = {"registry": REGISTRY, **{role: self.images[f"{role}:{tag}"] for role in ROLES}}
        digests = {name: {"digest": self.images[image]} for name, image in
                   (("gateway", "envoy"), ("postgresql", "postgres"), ("qdrant", "index"))}  # fmt: skip
        return {"images": images, "rollout": {"release": release or f"v{tag}"}, **digests}

    def helm(self, *words: str, fails: bool = False) -> str:
        """What Helm prints."""
        began = time.monotonic()
        command = [helm(), "--kubeconfig", str(self.cluster.kubernetes.kubeconfig), "-n", self.namespace, *words]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder)
        said = result.stdout + result.stderr
        _log.info("%s: helm %s, %.0f s", self.preset, words[0], time.monotonic() - began)
        assert (result.returncode != 0) is fails, f"helm {words[0]}: {said[-3000:]}\n{self.look()}"
        return said

    def upgrade(self, tag: int, *, fails: bool = False) -> str:
        """The command of the page with the images of a tag."""
        (self.folder / "digests.yaml").write_text(yaml.safe_dump(self.values(tag)))
        preset = ROOT / "helm" / "rag-platform" / f"values-{self.preset}.yaml"
        files = [str(word) for file in (preset, "mine.yaml", "digests.yaml", "cut.yaml") for word in ("-f", file)]
        chart = str(ROOT / "helm" / "rag-platform")
        return self.helm("upgrade", "--install", "rag", chart, *files, "--wait", "--timeout", TIMEOUT, fails=fails)

    def page(self, script: str) -> str:
        """Commands of the page in the reader's folder."""
        began, paths = time.monotonic(), f"{Path(helm()).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "KUBECONFIG": str(self.cluster.kubernetes.kubeconfig), "PATH": paths}
        command = ["bash", "-euo", "pipefail", "-c", script]
        result = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        _log.info("%s: %s …, %.0f s", self.preset, script.partition("\n")[0][:60], time.monotonic() - began)
        assert result.returncode == 0, f"{result.stdout}{result.stderr}\n{self.look()}"
        return result.stdout

    def colours(self) -> list[dict[str, Any]]:
        """What `rag deploy status` says in the deployer's pod."""
        words = ["rag", "deploy", "status", "--output", "json", "--target", "kubernetes"]
        said = self.kubectl("exec", f"deploy/{OBJECTS}-deployer", "--", *words)
        colours: list[dict[str, Any]] = json.loads(said)["data"]["colours"]
        return colours

    def traffic(self, *, of_killed: bool = False) -> Traffic:
        """Callers. Those `of_killed` gateways connect again where nobody listens, as a load balancer does, and ask
        again what was in flight there."""
        address = self.kubectl("get", "service", f"{OBJECTS}-gateway", "-o", "jsonpath={.spec.clusterIP}")
        transport = httpx.HTTPTransport(retries=3 if of_killed else 0)
        client = httpx.Client(transport=transport, trust_env=False, timeout=30)
        return Traffic(f"http://{address}:8080", self.token, client, of_killed)

    def left(self) -> list[str]:
        """Names of everything of the release that is there."""
        return self.kubectl("get", KINDS, "-o", "name", "-l", "app.kubernetes.io/instance=rag").split()

    def look(self) -> str:
        """What a person would look at first."""
        pods = self.kubectl("get", "pods,jobs", "-o", "wide")
        bad = re.findall(r"(?m)^(pod/\S+)(?!.*(?:Running|Completed))", pods)
        events = self.kubectl("get", "events", "--sort-by=.lastTimestamp").splitlines()[-25:]
        logs = [self._logs(name) for name in [*bad[:3], f"deploy/{OBJECTS}-deployer"]]
        return "\n".join([pods, *events, *logs])

    def _logs(self, name: str) -> str:
        try:
            return self.kubectl("logs", name, "--all-containers", "--tail", "30")
        except AssertionError as error:
            return str(error)


def index_secret(key: str) -> str:
    """What the index process in the place of Qdrant makes of Qdrant's key (`index.py`)."""
    return hashlib.sha256(key.encode()).hexdigest()


def identity(folder: Path, tenant: str = DEFAULT_TENANT) -> tuple[str, str]:
    """The key set of an identity provider, and a token of it that may ask."""
    settings = Settings(home=folder / "identity")
    settings.secrets_dir.mkdir(parents=True, exist_ok=True)
    ensure_keys(settings)
    token = mint_token(settings, subject="tester", tenant=tenant, scopes=("query.read",), lifetime=4 * 3600)
    return settings.jwks_path.read_text(), token


def volume(cluster: Cluster, name: str, mode: str, size: str, places: Sequence[Place] = (FIRST,)) -> Path:
    """A volume of the nodes in these places, which see the same files; returns its folder."""
    folder = cluster.machine.folder / "volumes" / name
    folder.mkdir(parents=True)
    where = {"key": "kubernetes.io/hostname", "operator": "In", "values": [place.name for place in places]}
    spec = {
        "capacity": {"storage": size},
        "accessModes": [mode],
        "local": {"path": str(folder)},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [where]}]}},
    }
    body = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("apply", "-f", "-", given=json.dumps(body))
    return folder


def documents(cluster: Cluster, namespace: str, places: Sequence[Place] = (FIRST,)) -> Path:
    """The claim that the page names, with a handbook; returns its folder."""
    folder = volume(cluster, f"{namespace}-handbook", "ReadOnlyMany", "1Gi", places)
    (folder / "leave.md").write_text(_LEAVE)
    asked = {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "handbook"}, "spec": asked}
    cluster.kubectl("-n", namespace, "apply", "-f", "-", given=json.dumps(body))
    return folder
