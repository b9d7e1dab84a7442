"""Every container of the chart, of every preset, started once as Kubernetes would start it.

The objects that the deployer makes and the Job of a run are taken from the stand-in for the API, where their makers put
them. One thing differs from a cluster: no package holds a Qdrant server, so the containers that would call one share an
embedded index by two variables (`_index`); the container of Qdrant itself is left out by name.
"""

from __future__ import annotations

import copy
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_core.settings import Settings
from ragctl.tokens import ensure_keys, mint_token
from tests.containers.pods import Node, docker_of
from tests.support.certificates import self_signed
from tests.support.chart import NAMESPACE, PRESETS, find, render, values
from tests.support.kubernetes_api import Api, Object, running_api

pytestmark = [pytest.mark.containers, pytest.mark.root, pytest.mark.timeout(3600)]
OBJECTS = "rag-rag-platform"
NOT_HERE = {"qdrant": "no package holds a Qdrant server"}
SOURCE = """type: rag_assets.components.DocumentSource
attributes:
  name: handbook
  tenant: default
  acl: [everyone]
  options: {kind: folder, root: /data/handbook}
  sensor: {interval_seconds: 5}
"""
SIGN_IN = """[auth]
redirect_uri = "https://console.example.com/oauth2callback"
cookie_secret = "a secret of the tests that is long enough"
client_id = "rag-console"
client_secret = "another secret of the tests"
server_metadata_url = "https://idp.example.com/.well-known/openid-configuration"
"""
FORWARD = """
import asyncio, os, subprocess, sys
server = subprocess.Popen([sys.executable, "-P", "-m", "query_server.index_process"])
async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", 50052)
    await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer), return_exceptions=True)
async def main():
    await (await asyncio.start_server(serve, "0.0.0.0", 6334)).serve_forever()
asyncio.run(main())
"""
_STAND_INS = {"postgres": "rag-test/postgres:local", "envoy": "rag-test/envoy:local"}


@dataclass
class Installation:
    """A preset on one Docker network. `addresses` of pods by the names of their Deployments."""

    node: Node
    api: Api
    token: str
    addresses: dict[str, str]

    def serve(self, kind: str, *endings: str) -> None:
        """The pods of workloads whose names end so."""
        pods = {}
        for item in (find(self.node.manifests, kind, ending) for ending in endings):
            template = copy.deepcopy(item["spec"]["template"])
            for claim in item["spec"].get("volumeClaimTemplates", []):  # a new volume is an empty folder
                template["spec"]["volumes"].append({"name": claim["metadata"]["name"], "emptyDir": {}})
            pods[item["metadata"]["name"]] = template
        self.addresses |= self.node.serve(pods)

    def job(self, ending: str) -> str:
        item = find(self.node.manifests, "Job", ending)
        return self.node.run(item["metadata"]["name"], item["spec"]["template"])

    def ask(self, question: str) -> str:
        url = f"http://{self.addresses[f'{OBJECTS}-gateway']}:8080/api/v1/query"
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.post(url, json={"query": question}, headers=headers, timeout=30, trust_env=False).text


@pytest.fixture(params=PRESETS)
def installation(request: pytest.FixtureRequest, built: tuple[dict[str, str], Path]) -> Iterator[Installation]:
    environment, shared = built
    preset, docker = request.param, docker_of(environment)
    folder = shared / f"chart-{preset}"
    folder.mkdir(mode=0o755)
    network = f"rag-chart-{preset}"
    docker("network", "create", network)
    try:
        gateway = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network).strip()
        certificate = self_signed(folder, "kubernetes", gateway)
        api = Api(NAMESPACE, token=secrets.token_urlsafe(40))
        with running_api(api, address=gateway, certificate=certificate):
            yield _prepare(preset, docker, folder, network, api, certificate[0])
    finally:
        known = docker("ps", "--all", "--quiet", "--filter", f"network={network}").split()
        if known:
            docker("rm", "--force", "--volumes", *known)
        docker("network", "rm", network)


def _prepare(
    preset: str, docker: Callable[..., str], folder: Path, network: str, api: Api, authority: Path
) -> Installation:
    identity = Settings(home=folder / "identity", jwt_issuer="rag-platform", jwt_audience="rag-query")
    identity.secrets_dir.mkdir(parents=True)
    ensure_keys(identity)
    token = mint_token(identity, subject="tester", scopes=("query.read", "documents.write"), groups=(), lifetime=3600)
    given: dict[str, Any] = {
        "auth": {"jwks": identity.jwks_path.read_text()},
        "sources": {"files": {"handbook": SOURCE}},
    }
    given["settings"] = {"deploy_watch_seconds": 1, "deploy_ready_seconds": 1200}  # pods start one after the other here
    manifests = render(values(preset, given))
    for item in manifests:
        api.objects[item["kind"].lower() + "s", item["metadata"]["name"]] = item
        item["metadata"].setdefault("uid", item["metadata"]["name"])
    documents = folder / "documents"
    documents.mkdir()
    (documents / "holidays.md").write_text("# Holidays\n\nThe northern office has thirty days of holiday.\n")
    password, host, port = secrets.token_urlsafe(24), *api.url.removeprefix("https://").split(":")
    database = "rag-rag-platform-postgresql" if preset == "dev" else "database"
    main = {
        "RAG_DATABASE_URL": f"postgresql://rag:{password}@{database}:5432/rag",
        "POSTGRES_PASSWORD": password,
        "RAG_QDRANT_API_KEY": secrets.token_urlsafe(40),
        "RAG_INDEX_SECRET": secrets.token_urlsafe(40),
        "RAG_PAGE_TOKEN_SECRET": secrets.token_urlsafe(40),
        "RAG_HASH_SECRET": secrets.token_urlsafe(40),
        "RAG_DEPLOY_CREDENTIAL": token,
        "ALERT_WEBHOOK_URL": "http://127.0.0.1:9/none",
    }
    node = Node(
        docker, folder, network, manifests, _images, (host, int(port)), NAMESPACE, api.token, authority,
        {"rag-platform": main, "rag-console": {"token": token}, "rag-console-oidc": {"secrets.toml": SIGN_IN}},
        documents, _index,
    )  # fmt: skip
    _outside(preset, docker, network, password, main)
    return Installation(node, api, token, {})


def _images(name: str) -> str:
    role = name.partition("@")[0].rpartition("/")[2]
    return _STAND_INS.get(role, f"rag-platform/{role}:local")


def _index(name: str, environment: dict[str, str]) -> dict[str, str]:
    if "RAG_QDRANT_URL" not in environment:
        return environment
    return {**environment, "RAG_QDRANT_URL": "", "RAG_INDEX_ENDPOINT": "index:6334"}


def _outside(preset: str, docker: Callable[..., str], network: str, password: str, secret: dict[str, str]) -> None:
    """What an installation has around it: the index here, and outside development a database."""
    on = ["run", "--detach", "--no-healthcheck", "--network", network]
    keep = ["--env", f"RAG_INDEX_SECRET={secret['RAG_INDEX_SECRET']}", "--env", "RAG_ENVIRONMENT=development"]
    docker(*on, "--network-alias", "index", *keep, "rag-platform/query:local", "python", "-P", "-c", FORWARD)
    if preset != "dev":
        known = ["--env", "POSTGRES_USER=rag", "--env", "POSTGRES_DB=rag", "--env", f"POSTGRES_PASSWORD={password}"]
        database = docker(*on, "--network-alias", "database", *known, "rag-test/postgres:local").strip()
        ask = f"PGPASSWORD={password} psql -h localhost -U rag rag -c 'SELECT 1'"
        eventually(lambda: _works(docker, "exec", database, "sh", "-c", ask))


def _works(docker: Callable[..., str], *words: str) -> bool:
    try:
        docker(*words)
    except AssertionError:
        return False
    return True


def test_every_container_starts_and_together_they_ingest_deploy_and_answer(installation: Installation) -> None:
    node = installation.node
    kinds = {(item["kind"], item["metadata"]["name"]) for item in node.manifests if item["kind"] in
             {"Deployment", "StatefulSet", "Job", "Pod"}}  # fmt: skip
    if ("StatefulSet", f"{OBJECTS}-postgresql") in kinds:
        installation.serve("StatefulSet", "-postgresql")
    for task in ("migrate", "bootstrap"):
        name = next(name for kind, name in kinds if kind == "Job" and f"-{task}" in name)
        installation.job(name.removeprefix(OBJECTS))
    stream = ["-stream"] if ("Deployment", f"{OBJECTS}-stream") in kinds else []
    with _carried_out(installation) as runs:
        installation.serve("Deployment", "-dagster-code", "-dagster-webserver", "-dagster-daemon", "-console", *stream)
        _deploy_the_query_servers(installation)
        installation.serve("Deployment", "-interfaces")  # ready when it reaches a query server
        eventually(lambda: "thirty days" in installation.ask("How many days of holiday has the northern office?"))
        for item in [item for item in node.manifests if item["kind"] == "Pod"]:
            node.run(item["metadata"]["name"], {"metadata": item["metadata"], "spec": item["spec"]})
    assert runs
    installation.job("-end-runs")
    unseen = {name for _, name in kinds if not node.docker("ps", "-aq", "--filter", f"name={node.network}-{name}-")}
    assert unseen <= {f"{OBJECTS}-{name}" for name in NOT_HERE}


def _deploy_the_query_servers(installation: Installation) -> None:
    """The deployer makes blue; its pod is started as it stands in the API; then the hook that waited for it ends."""
    node, api = installation.node, installation.api
    hook = find(node.manifests, "Job", "-rollout")
    (deployer,) = node.pod("first-deployer", find(node.manifests, "Deployment", "-deployer")["spec"]["template"])
    (waiting,) = node.pod(hook["metadata"]["name"], hook["spec"]["template"])
    blue = eventually(lambda: api.objects.get(("deployments", f"{OBJECTS}-query-blue")))
    routes = eventually(lambda: api.objects.get(("configmaps", f"{OBJECTS}-gateway-routes")))
    node.manifests.append({**routes, "kind": "ConfigMap"})
    gateway = find(node.manifests, "Deployment", "-gateway")
    both = {item["metadata"]["name"]: item["spec"]["template"] for item in (blue, gateway)}
    installation.addresses |= node.serve(both)
    for item in (blue, gateway):
        _ready(api, item, installation.addresses[item["metadata"]["name"]])
    node.ended(waiting)
    assert "Traceback" not in node.said(deployer)
    node.docker("rm", "--force", deployer)
    installation.serve("Deployment", "-deployer")
    (running,) = node.docker("ps", "-q", "--filter", f"name={node.network}-{OBJECTS}-deployer-").split()
    assert "blue" in node.docker("exec", running, "rag", "deploy", "status", "--target", "kubernetes")


def _ready(api: Api, deployment: Object, address: str) -> None:
    replicas = deployment["spec"].setdefault("replicas", 1)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
    deployment["status"] = {"observedGeneration": deployment["metadata"].get("generation", 1), **counts}
    labels = deployment["spec"]["selector"]["matchLabels"]
    status = {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}
    name = f"{deployment['metadata']['name']}-0"
    api.put("pods", {"metadata": {"name": name, "labels": labels}, "status": status})


@contextmanager
def _carried_out(installation: Installation) -> Iterator[list[str]]:
    """Runs the pod of every Job that Dagster makes, as a cluster does; yields the names of those that ended well."""
    api, stop, begun, ended = installation.api, threading.Event(), set[str](), list[str]()

    def work() -> None:
        while not stop.wait(0.5):
            for resource, name in list(api.objects):
                if resource == "jobs" and name.startswith("dagster-run-") and name not in begun:
                    begun.add(name)
                    job = api.objects[resource, name]
                    job["status"] = {"active": 1}
                    installation.node.run(f"run-{len(begun)}", job["spec"]["template"])
                    job["status"] = {"succeeded": 1}
                    ended.append(name)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join()


def eventually(check: Callable[[], Any], seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = check()
        except httpx.HTTPError:
            found = None
        if found:
            return found
        time.sleep(0.5)
    pytest.fail(f"not true within {seconds:.0f} s")


def test_what_is_left_out_is_named() -> None:
    images = json.dumps([item for item in render(values("dev")) if item["kind"] == "StatefulSet"])
    assert all(name in images for name in NOT_HERE)
