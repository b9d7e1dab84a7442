"""The chart in a real Kubernetes API: installed, upgraded, refused, rolled back and removed while clients call.

What a real node can prove is in `tests/cluster`. Its query servers cannot be made to answer for long, or no probe.
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml

from rag_core.database import open_store
from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.governance.audit import deployment_store as deployments
from rag_core.settings import Settings
from ragctl.tokens import ensure_keys, mint_token
from ragproto.query.v2 import query_pb2 as v2
from ragproto.query.v2 import query_pb2_grpc as rpc
from tests.real_servers.cluster.control_plane import Kubernetes, helm
from tests.real_servers.cluster.node import Node, with_password
from tests.real_servers.cluster.query_stand_in import LONG
from tests.support.chart import CHART, merged, values
from tests.support.postgres import temporary_database

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(3600)]
SETTINGS = {"deploy_watch_seconds": 1, "deploy_burst_requests": 10, "deploy_failing_seconds": 2}
SETTINGS |= dict.fromkeys(("gateway_client_per_minute", "gateway_client_per_hour", "gateway_ip_per_minute"), 0)
KINDS = "deployments,statefulsets,jobs,cronjobs,pods,services,configmaps,serviceaccounts,roles,rolebindings"
KINDS += ",networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,ingresses"
PRESET = "staging"
TIMEOUT = "10m"


def tag(number: int) -> str:
    """Digest of the images of a tag."""
    return f"sha256:{number:064x}"


def image(number: int) -> str:
    return f"registry.example.com/rag/query@{tag(number)}"


@dataclass
class Traffic:
    """Clients of the gateway: a new connection a call, to any gateway that the Service would send to."""

    node: Node
    token: str
    answers: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)
    """Answers to calls that were begun long before, so that the server before may have given them."""
    inside: list[str] = field(default_factory=list)
    """The same of the calls that the open interfaces would make."""
    failures: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return len(self.answers) + len(self.failures)

    def call(self) -> None:
        if (said := self._post("query", "a short call")) is not None:
            self.answers.append(said.json()["answer"].rpartition(":")[2])

    def call_long(self) -> None:
        if (said := self._post("answer", LONG)) is not None:
            self._note_long(said.text, self.long)

    def call_inside(self) -> None:
        """A long call as the open interfaces make it, by the gateways' listener for them."""
        if not (where := self._gateway()):
            return
        with grpc.insecure_channel(f"{where}:8091") as channel:
            try:
                events = list(rpc.QueryServiceStub(channel).Answer(v2.AnswerRequest(query=LONG), timeout=30))
            except grpc.RpcError as error:
                self.failures.append(f"{where}, inside: {error!r}")
                return
        self._note_long(str(events), self.inside)

    def _note_long(self, text: str, answers: list[str]) -> None:
        if (image := re.search("sha256:([0-9a-f]{64})", text)) and "final" in text:
            answers.append(image[1])
        else:
            self.failures.append(f"no whole answer: {text[-300:]}")

    def _post(self, way: str, query: str) -> httpx.Response | None:
        if not (where := self._gateway()):
            return None
        headers = {"authorization": f"Bearer {self.token}", "connection": "close"}
        version = "v1" if way == "query" else "v2"
        try:
            url = f"http://{where}:8080/api/{version}/{way}"
            response = self.client.post(url, json={"query": query}, headers=headers)
        except httpx.HTTPError as error:
            self.failures.append(f"{where}: {error!r}")
            return None
        if response.status_code != 200:
            self.failures.append(f"{where}: HTTP {response.status_code} {response.text[:200]}")
            return None
        return response

    def _gateway(self) -> str:
        gateways = self.node.endpoints(component="gateway")
        if not gateways:
            self.failures.append("no gateway is ready")
            return ""
        return gateways[len(self.answers) % len(gateways)]

    @contextmanager
    def flowing(self) -> Iterator[None]:
        stop = threading.Event()
        self.client = httpx.Client(trust_env=False, timeout=30)

        def work(call: Callable[[], None]) -> None:
            while not stop.wait(0.05):
                call()

        calls = [*[self.call] * 2, *[self.call_long] * 2, *[self.call_inside] * 2]
        threads = [threading.Thread(target=work, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            self.client.close()


@dataclass
class Installation:
    """The preset in a namespace of its own."""

    kubernetes: Kubernetes
    node: Node
    folder: Path
    given: dict[str, Any]
    settings: Settings
    traffic: Traffic

    @property
    def namespace(self) -> str:
        return self.node.namespace

    def helm(self, *words: str, fails: bool = False) -> str:
        command = [helm(), "--kubeconfig", str(self.kubernetes.kubeconfig), "-n", self.namespace, *words]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        said = result.stdout + result.stderr
        assert (result.returncode != 0) is fails, f"helm {words[0]}: {said[-3000:]}\n{self.look()}"
        return said

    def upgrade(self, number: int, *, fails: bool = False, **more: Any) -> str:
        """What the job `deploy` of the pipeline does."""
        file = self.folder / "values.yaml"
        images = {role: tag(number) for role in ("dagster", "query", "stream", "console")}
        mine = merged(self.given, {"images": images, "rollout": {"release": f"v{number}"}}, more)
        file.write_text(yaml.safe_dump(mine))
        return self.helm(
            "upgrade", "--install", "rag", str(CHART), "-f", str(file), "--wait", "--timeout", TIMEOUT, fails=fails
        )

    def served(self) -> Counter[str]:
        """Who answered the last twenty calls, which are made now."""
        before = len(self.traffic.answers)
        while len(self.traffic.answers) < before + 20:
            time.sleep(0.1)
        return Counter(self.traffic.answers[-15:])

    def left(self) -> list[str]:
        """Names of everything of the release that is there."""
        found = self.kubectl("get", KINDS, "-o", "name", "-l", "app.kubernetes.io/instance=rag").split()
        return [name for name in found if not name.startswith("pod/")]

    def kubectl(self, *words: str, given: str = "") -> str:
        command = ["kubectl", "--kubeconfig", str(self.kubernetes.kubeconfig), "-n", self.namespace, *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False).stdout

    def look(self) -> str:
        logs = [path.read_text()[-1500:] for path in sorted(self.node.folder.glob("*deployer*/log"))]
        logs += [path.read_text()[-1500:] for path in sorted(self.node.folder.glob("*rollout*/log"))]
        return "\n".join(
            [self.kubectl("get", "pods,jobs,deployments"), *logs[-3:], *self.node.problems[-3:], str(self.node.waiting)]
        )


@pytest.fixture
def installation(cluster: Kubernetes, postgres_server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Installation]:
    identity = Settings(home=tmp_path / "identity")
    identity.secrets_dir.mkdir(parents=True)
    ensure_keys(identity)
    token = mint_token(identity, subject="tester", scopes=("query.read",), groups=(), lifetime=3600)
    node = Node(cluster, f"rag-{PRESET}", tmp_path / "pods")
    node.folder.mkdir()
    given = values(
        PRESET,
        {"auth": {"jwks": identity.jwks_path.read_text()}, "settings": SETTINGS, "sources": {"claims": []}},
    )
    with temporary_database(postgres_server) as url:
        _namespace(node, url, token)
        settings = Settings(home=tmp_path, database_url=url)
        node.start()
        try:
            yield Installation(cluster, node, tmp_path, given, settings, Traffic(node, token))
        finally:
            node.core.delete_namespace(node.namespace)
            node.close()


def _namespace(node: Node, url: str, token: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    node.core.create_namespace({"metadata": {"name": node.namespace, "labels": labels}})
    names = ("RAG_QDRANT_API_KEY", "RAG_PAGE_TOKEN_SECRET", "RAG_HASH_SECRET")
    main = {name: secrets.token_urlsafe(40) for name in names}
    main |= {"RAG_DATABASE_URL": with_password(url), "RAG_DEPLOY_CREDENTIAL": token}
    own = {"rag-platform": main, "rag-console": {"token": token}}
    for name, data in own.items():
        node.core.create_namespaced_secret(node.namespace, {"metadata": {"name": name}, "stringData": data})


@pytest.mark.catalogue("A20")
def test_tags_and_rollbacks_go_through_without_a_failed_request(installation: Installation) -> None:
    known, traffic = installation, installation.traffic
    known.upgrade(1)
    with traffic.flowing():
        assert set(known.served()) == {tag(1).removeprefix("sha256:")}
        known.upgrade(2)
        assert set(known.served()) == {tag(2).removeprefix("sha256:")}
        known.upgrade(3)
        assert set(known.served()) == {tag(3).removeprefix("sha256:")}
        _no_server_answers_its_probe(known, 3, "blue")
        known.node.broken.add(image(4))
        said = known.upgrade(4, fails=True)
        assert "rollout" in said
        assert set(known.served()) == {tag(3).removeprefix("sha256:")}
        known.helm("rollback", "rag", "2", "--wait", "--timeout", TIMEOUT)
        assert set(known.served()) == {tag(2).removeprefix("sha256:")}
        known.upgrade(5)
        assert set(known.served()) == {tag(5).removeprefix("sha256:")}
        _go_back_at_once(known)
        assert set(known.served()) == {tag(2).removeprefix("sha256:")}
    assert traffic.failures[:5] == []
    assert len(traffic.answers) > 200
    assert len(traffic.long) > 5
    assert len(traffic.inside) > 5
    store = open_store(known.settings)
    with store.engine.connect() as connection:
        history = list(reversed(deployments.page(connection, 20)))
    store.close()
    wanted = [("v1", "done"), ("v2", "done"), ("v3", "done"), ("v4", "refused"), ("v2", "done"), ("v5", "rolled_back")]
    rows = [(row.release, row.state) for row in history]
    # Once each; but the hook judges once more what the deployer had refused before the hook began.
    assert rows in (wanted, [*wanted[:4], *wanted[3:]]), "\n".join(
        f"{row.release} {row.state} {row.reason}: {row.detail}" for row in history
    )
    run = _begin_a_run(known)
    known.helm("uninstall", "rag", "--wait", "--timeout", TIMEOUT)
    deadline = time.monotonic() + 120
    while known.left() and time.monotonic() < deadline:
        time.sleep(0.5)  # the garbage collector works in its own time
    assert known.left() == []
    assert run not in known.kubectl("get", "jobs", "-o", "name")
    assert known.node.problems == []


def _no_server_answers_its_probe(known: Installation, number: int, colour: str) -> None:
    """As when all are busy. They must not vanish from the names that the gateway resolves: nobody would be answered."""
    known.node.unready.add(image(number))
    until(lambda: not known.node.endpoints(component=f"query-{colour}"))
    calls = known.traffic.calls
    until(lambda: known.traffic.calls > calls + 100)  # longer than Envoy remembers names
    assert known.traffic.failures[:5] == []
    known.node.unready.clear()


def until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _begin_a_run(known: Installation) -> str:
    """A Job as Dagster makes it, which Helm knows nothing of."""
    labels = {"rag-platform/role": "run", "rag-platform/release": "rag"}
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    security |= {"seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 10001}
    container = {"name": "run", "image": image(1), "command": ["never"], "securityContext": security}
    template = {"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "dagster-run-1", "labels": labels}}
    known.kubectl("apply", "-f", "-", given=json.dumps({**body, "spec": {"template": template}}))
    assert "dagster-run-1" in known.kubectl("get", "jobs", "-o", "name")
    return "dagster-run-1"


def _go_back_at_once(known: Installation) -> None:
    """`rag deploy rollback`, as an operator runs it in the deployer's pod."""
    environment = {
        "RAG_DATABASE_URL": str(known.settings.database_url and known.settings.database_url.get_secret_value())
    }
    environment |= {"KUBECONFIG": str(known.kubernetes.kubeconfig), "RAG_DEPLOY_NAMESPACE": known.namespace}
    environment |= {"PATH": "/usr/bin:/bin", "HOME": str(known.folder), "RAG_HOME": str(known.folder / "operator")}
    command = [sys.executable, "-P", "-m", "ragctl.container", "deploy", "rollback", "--target", "kubernetes"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
