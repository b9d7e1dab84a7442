"""The chart on a real node: installed as its page says, upgraded under traffic, killed, rolled back and removed."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.images import BAD
from tests.cluster.installation import (
    ANSWER,
    CUT,
    OBJECTS,
    PAGE,
    SOURCE,
    TIMEOUT,
    Installation,
    documents,
    identity,
    index_secret,
    volume,
)
from tests.cluster.node import Cluster
from tests.real_servers.cluster.control_plane import helm
from tests.support.chart import ROOT
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.root, pytest.mark.timeout(3600)]
Node = tuple[Cluster, dict[str, str]]
_GIVEN = "postgresql://rag:PASSWORD@postgres.example.com:5432/rag"
_NONE = {"serviceMonitor": False, "prometheusRule": False}
_OPERATORS = {"monitoring": _NONE, "ingress": {"tls": {"clusterIssuer": ""}}}
"""Objects of operators that are not here."""


def test_the_evaluation_preset_ingests_by_a_run_answers_and_leaves_nothing(node: Node, tmp_path: Path) -> None:
    cluster, images = node
    keys, token = identity(tmp_path)
    known = Installation(cluster, tmp_path, "rag-dev", "dev", images, token)
    claim = {"name": "handbook", "claimName": "handbook", "mountPath": "/data/handbook"}
    mine = {"auth": {"jwks": keys}, "sources": {"files": {"handbook": SOURCE}, "claims": [claim]}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    (tmp_path / "cut.yaml").write_text(yaml.safe_dump(CUT))
    password = secrets.token_urlsafe(24)
    _namespace(cluster, known.namespace, enforced=True)
    main = _secrets(f"postgresql://rag:{password}@{OBJECTS}-postgresql:5432/rag")
    main |= {"POSTGRES_PASSWORD": password, "RAG_DEPLOY_CREDENTIAL": token}
    _secret(cluster, known.namespace, "rag-platform", main)
    _secret(cluster, known.namespace, "rag-console", {"token": token})
    documents(cluster, known.namespace)
    for name in ("one", "two"):
        volume(cluster, f"dev-{name}", "ReadWriteOnce", "10Gi")
    known.upgrade(1)
    assert known.helm("test", "rag").count("Phase:          Succeeded") == 4
    assert ANSWER in known.traffic().ask()
    assert _good_runs(known)
    _remove(known)


def test_the_production_preset_as_its_page_installs_it(node: Node, tmp_path: Path) -> None:
    cluster, images = node
    known = Installation(cluster, tmp_path, "rag", "production", images, _what_the_reader_has(tmp_path))
    digests, mine = _blocks("Before", "yaml")
    (before,), (install,) = _blocks("Before", "sh"), _blocks("Install", "sh")
    assert set(yaml.safe_load(digests)) <= set(known.values(1))
    (tmp_path / "digests.yaml").write_text(yaml.safe_dump(known.values(1)))
    (tmp_path / "mine.yaml").write_text(mine)
    (tmp_path / "cut.yaml").write_text(yaml.safe_dump({**CUT, **_OPERATORS}))
    password, key = secrets.token_urlsafe(24), secrets.token_urlsafe(40)
    _outside(cluster, images, password, key)
    assert _GIVEN in before
    _run(before.replace("PASSWORD", password).replace("QDRANT_KEY", key), known)
    more = json.dumps({"stringData": {"RAG_INDEX_SECRET": index_secret(key)}})
    known.kubectl("patch", "secret", "rag-platform", "--patch", more)
    documents(cluster, known.namespace)
    said = _run(install.replace("-f digests.yaml", "-f digests.yaml -f cut.yaml"), known)
    assert "STATUS: deployed" in said
    assert said.count("Phase:          Succeeded") == 4
    _go_through_releases(known)
    _survive_kills(known)
    _drain(known)
    _remove(known)


def _go_through_releases(known: Installation) -> None:
    """Three tags under traffic, back by `rag`, a bad one, back by Helm: no call fails."""
    traffic = known.traffic()
    with traffic.flowing():
        for tag in (2, 3):
            known.upgrade(tag)
            assert _serving(known) == f"v{tag}"
        known.deployer("rollback")
        assert _serving(known) == "v2"
        said = known.upgrade(BAD, fails=True)
        assert "rollout" in said
        assert _serving(known) == "v2"
        known.helm("rollback", "rag", "1", "--wait", "--timeout", TIMEOUT)
        assert _serving(known) == "v1"
    assert traffic.failures[:5] == []
    assert traffic.answers > 500


def _survive_kills(known: Installation) -> None:
    """A pod and a container of gateways and query servers, one at a time, and the kubelet: no call fails."""
    traffic = known.traffic()
    with traffic.flowing():
        for component in ("gateway", f"query-{_serving(known, 'name')}"):
            pod = _pods(known, component)[0]["metadata"]["name"]
            known.kubectl("delete", "pod", pod, "--grace-period", "5")
            assert eventually(lambda of=component: _ready(known, of) == 2, seconds=300), known.look()
            pod = _pods(known, component)[0]
            container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
            known.cluster.ctr("tasks", "kill", "--signal", "SIGKILL", container)
            assert eventually(lambda of=component: _restarts(known, of), seconds=300), known.look()
            assert eventually(lambda of=component: _ready(known, of) == 2, seconds=300), known.look()
        known.cluster.machine.kill("kubelet")
        before = traffic.answers
        assert eventually(lambda: traffic.answers > before + 50, seconds=300)
        known.cluster.start_kubelet()
    assert traffic.failures[:5] == []


def _drain(known: Installation) -> None:
    """Of the only node: one gateway may leave, the other stays until there is another again."""
    node, traffic = ("rag-node",), known.traffic()
    words = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout", "40s"]
    words += ["--pod-selector", "app.kubernetes.io/component=gateway"]
    with traffic.flowing(), pytest.raises(AssertionError, match="disruption budget"):
        known.cluster.kubectl("drain", *node, *words)
    assert _ready(known, "gateway") == 1
    assert traffic.failures[:5] == []
    known.cluster.kubectl("uncordon", *node)
    assert eventually(lambda: _ready(known, "gateway") == 2, seconds=300), known.look()


def _remove(known: Installation) -> None:
    """Nothing of the release stays but what its page names."""
    known.helm("uninstall", "rag", "--wait", "--timeout", "10m")
    left = "job,pod", "-l", "app.kubernetes.io/instance=rag"
    known.kubectl("delete", *left)
    assert eventually(lambda: known.left() == [], seconds=180), known.left()
    known.cluster.kubectl("delete", "namespace", known.namespace, "--wait")


def _good_runs(known: Installation) -> list[dict[str, Any]]:
    runs = known.cluster.objects("-n", known.namespace, "jobs", "-l", "rag-platform/role=run")
    return [run for run in runs if run["status"].get("succeeded")]


def _serving(known: Installation, what: str = "release") -> str:
    """Release or name of the colour that has the traffic."""
    colours = json.loads(known.deployer("status", "--output", "json"))["data"]["colours"]
    return next(colour[what] for colour in colours if colour["weight"] == 100)


def _pods(known: Installation, component: str) -> list[dict[str, Any]]:
    found = known.cluster.objects("-n", known.namespace, "pods", "-l", f"app.kubernetes.io/component={component}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def _ready(known: Installation, component: str) -> int:
    conditions = [one for pod in _pods(known, component) for one in pod["status"].get("conditions", [])]
    return sum(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _restarts(known: Installation, component: str) -> int:
    return sum(one["restartCount"] for pod in _pods(known, component) for one in pod["status"]["containerStatuses"])


def _namespace(cluster: Cluster, name: str, *, enforced: bool) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"} if enforced else {}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.kubectl("apply", "-f", "-", given=json.dumps(body))


def _secret(cluster: Cluster, namespace: str, name: str, data: dict[str, str]) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
    cluster.kubectl("-n", namespace, "apply", "-f", "-", given=json.dumps(body))


def _secrets(database: str) -> dict[str, str]:
    names = ("RAG_QDRANT_API_KEY", "RAG_PAGE_TOKEN_SECRET", "RAG_HASH_SECRET")
    made = {name: secrets.token_urlsafe(40) for name in names}
    return made | {"RAG_DATABASE_URL": database, "RAG_INDEX_SECRET": index_secret(made["RAG_QDRANT_API_KEY"])}


def _outside(cluster: Cluster, images: dict[str, str], password: str, key: str) -> None:
    """PostgreSQL and the index beside the cluster, under the names of the page."""
    _namespace(cluster, "outside", enforced=False)
    known = {"POSTGRES_USER": "rag", "POSTGRES_DB": "rag", "POSTGRES_PASSWORD": password}
    servers = {
        "postgres": (f"docker.io/library/postgres@{images['postgres']}", 5432, known, "/var/lib/postgresql"),
        "qdrant": (f"docker.io/qdrant/qdrant@{images['index']}", 6334, {"QDRANT__SERVICE__API_KEY": key}, "/qdrant"),
    }
    names = []
    for name, (image, port, environment, folder) in servers.items():
        container = {
            "name": name, "image": image, "resources": {"requests": {"cpu": "100m"}},
            "env": [{"name": one, "value": value} for one, value in environment.items()],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 2},
            "volumeMounts": [{"name": "data", "mountPath": folder}],
        }  # fmt: skip
        user = {"runAsUser": 999, "fsGroup": 999}
        spec = {"securityContext": user, "containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}
        pod = {"kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
        front = {"selector": {"app": name}, "ports": [{"port": port}]}
        service = {"kind": "Service", "metadata": {"name": name}, "spec": front}
        for body in (pod, service):
            cluster.kubectl("-n", "outside", "apply", "-f", "-", given=json.dumps({"apiVersion": "v1", **body}))
        address = cluster.kubectl("-n", "outside", "get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
        names.append(f"{address} {name}.example.com\n")
    cluster.name("".join(names))
    cluster.kubectl("-n", "outside", "wait", "--for=condition=Ready", "pod", "--all", "--timeout", "300s")


def _blocks(section: str, language: str) -> list[str]:
    """The blocks of code of a section of the page."""
    (text,) = re.findall(rf"(?ms)^## {section}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"))
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)


def _what_the_reader_has(folder: Path) -> str:
    """Files beside the page's own, and a token that may ask."""
    keys, token = identity(folder)
    golden = folder / "golden" / "handbook"
    golden.mkdir(parents=True)
    files = {
        "deploy-token": token,
        "jwks.json": keys,
        "secrets.toml": _blocks("The console", "toml")[0],
        "golden/handbook/corpus.jsonl": '{"_id": "handbook/leave.md"}\n',
        "golden/handbook/queries.jsonl": '{"_id": "q1", "text": "how many days of leave are there"}\n',
        "golden/handbook/qrels.tsv": "query-id\tcorpus-id\tscore\nq1\thandbook/leave.md\t1\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "helm").symlink_to(ROOT / "helm")
    return token


def _run(script: str, known: Installation) -> str:
    """The commands of a block in the reader's folder."""
    paths = f"{Path(helm()).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(known.cluster.kubernetes.kubeconfig), "PATH": paths}
    command = ["bash", "-euo", "pipefail", "-c", script]
    result = subprocess.run(command, cwd=known.folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.stdout}{result.stderr}\n{known.look()}"
    return result.stdout
