"""The chart on a real node: installed as its page says, upgraded under traffic, killed, rolled back and removed."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.images import BAD
from tests.cluster.installation import (
    ANSWER,
    CALLERS,
    CUT,
    OBJECTS,
    PAGE,
    SOURCE,
    Installation,
    documents,
    identity,
    index_secret,
    volume,
)
from tests.cluster.node import Cluster
from tests.support.chart import ROOT, merged
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.root, pytest.mark.timeout(3600)]
Node = tuple[Cluster, dict[str, str]]
_GIVEN = "postgresql://rag:PASSWORD@postgres.example.com:5432/rag"
_NONE = {"serviceMonitor": False, "prometheusRule": False}
_OPERATORS = {"monitoring": _NONE, "ingress": {"tls": {"clusterIssuer": ""}}}
"""Objects of operators that are not here."""


@pytest.mark.parametrize("preset", ["dev", "staging"])
def test_a_preset_ingests_by_a_run_answers_and_leaves_nothing(node: Node, preset: str, tmp_path: Path) -> None:
    cluster, images = node
    keys, token = identity(tmp_path)
    known = Installation(cluster, tmp_path, f"rag-{preset}", preset, images, token)
    cluster.namespace(known.namespace, **{"pod-security.kubernetes.io/enforce": "restricted"})
    password, key = secrets.token_urlsafe(24), secrets.token_urlsafe(40)
    claim = {"name": "handbook", "claimName": "handbook", "mountPath": "/data/handbook"}
    mine = {"auth": {"jwks": keys}, "sources": {"files": {"handbook": SOURCE}, "claims": [claim]}}
    server = f"{OBJECTS}-postgresql"
    if preset == "dev":
        for name in ("one", "two"):
            volume(cluster, f"dev-{name}", "ReadWriteOnce", "10Gi")
    else:
        _outside(cluster, images, password, key)
        page, server = yaml.safe_load(_blocks("Before", "yaml")[1]), "postgres.example.com"
        mine |= {name: page[name] for name in ("settings", "ingress", "networkPolicy")}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine))
    (tmp_path / "cut.yaml").write_text(yaml.safe_dump(merged(CUT, _OPERATORS)))
    known.secrets(server, password, key)
    known.secret("rag-console-oidc", {"secrets.toml": _blocks("The console", "toml")[0]})
    documents(cluster, known.namespace)
    known.upgrade(1)
    assert known.helm("test", "rag").count("Phase:          Succeeded") == 4
    assert ANSWER in known.traffic().ask()
    # Where a stream worker is, it takes a small source without a run.
    runs = {"maintenance", *(["handbook_sync"] if preset == "dev" else [])}
    assert eventually(lambda: runs <= _good_runs(known), seconds=300), known.look()
    _remove(known)


def test_the_production_preset_as_its_page_installs_it(node: Node, tmp_path: Path) -> None:
    cluster, images = node
    known = Installation(cluster, tmp_path, "rag", "production", images, _what_the_reader_has(tmp_path))
    digests, mine = _blocks("Before", "yaml")
    (before,), (install,) = _blocks("Before", "sh"), _blocks("Install", "sh")
    assert set(yaml.safe_load(digests)) <= set(known.values(1))
    (tmp_path / "digests.yaml").write_text(yaml.safe_dump(known.values(1)))
    (tmp_path / "mine.yaml").write_text(mine)
    (tmp_path / "cut.yaml").write_text(yaml.safe_dump(merged(CUT, _OPERATORS)))
    password, key = secrets.token_urlsafe(24), secrets.token_urlsafe(40)
    _outside(cluster, images, password, key)
    assert _GIVEN in before
    known.page(before.replace("PASSWORD", password).replace("QDRANT_KEY", key))
    more = json.dumps({"stringData": {"RAG_INDEX_SECRET": index_secret(key)}})
    known.kubectl("patch", "secret", "rag-platform", "--patch", more)
    documents(cluster, known.namespace)
    said = known.page(install.replace("-f digests.yaml", "-f digests.yaml -f cut.yaml"))
    assert "STATUS: deployed" in said
    assert said.count("Phase:          Succeeded") == 4
    _go_through_releases(known)
    _survive_kills(known)
    _drain(known)
    _scale(known)
    _remove(known)


def _go_through_releases(known: Installation) -> None:
    """Three tags under traffic, back by `rag`, a bad one, back by Helm: no call fails."""
    at_once, by_helm = _commands("Roll back")
    traffic = known.traffic()
    with traffic.flowing("releases"):
        for tag in (2, 3):
            known.upgrade(tag)
            assert _serving(known) == f"v{tag}"
        known.page(at_once)  # before another release takes the place of the one before
        assert _serving(known) == "v2"
        assert "rollout" in known.upgrade(BAD, fails=True)
        assert _serving(known) == "v2"
        known.page(by_helm.replace(" rag ", " rag 1 ", 1))  # what the refused upgrade replaced goes back too
        assert _serving(known) == "v1"
    assert traffic.answers > 500


def _survive_kills(known: Installation) -> None:
    """A pod and a container of gateways and query servers, one at a time, and the kubelet: no call fails.

    A gateway that is killed cuts off what is in flight there: once for each caller at most. One that is ended does not.
    """
    traffic = known.traffic(of_killed=True)  # until the node has seen the end of a killed one, connections reach it
    colour, cut = f"query-{_serving(known, 'name')}", 0
    with traffic.flowing("kills"):
        for component in ("gateway", colour):
            pod, before = _pods(known, component)[0]["metadata"]["name"], _members(known, colour)
            traffic.note(f"a pod of {component} is deleted")
            known.kubectl("delete", "pod", pod, "--grace-period", "5")
            assert eventually(lambda of=component: _ready(known, of) == 2, seconds=300), known.look()
            # For some seconds the gateways know the one that is gone, not the new one: only then is that the second.
            least = before if component == colour else {}
            assert eventually(lambda least=least: _all_known(known, colour, least), seconds=60), known.look()
            restarts, pod = _restarts(known, component), _pods(known, component)[0]
            container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
            assert traffic.cut == cut
            traffic.note(f"a container of {component} is killed")
            known.cluster.ctr("tasks", "kill", "--signal", "SIGKILL", container)
            assert eventually(lambda of=component, by=restarts: _restarts(known, of) > by, seconds=300), known.look()
            assert eventually(lambda of=component: _ready(known, of) == 2, seconds=300), known.look()
            cut = traffic.cut if component == "gateway" else cut
        known.cluster.machine.kill("kubelet")
        answered = traffic.answers
        assert eventually(lambda: traffic.answers > answered + 50, seconds=300)
        known.cluster.start_kubelet()
    assert traffic.cut == cut <= CALLERS


def _drain(known: Installation) -> None:
    """Of the only node: one gateway may leave, the other stays until there is another again."""
    node, traffic = ("rag-node",), known.traffic()
    words = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout", "40s"]
    words += ["--pod-selector", "app.kubernetes.io/component=gateway"]
    with traffic.flowing("drain"), pytest.raises(AssertionError, match="disruption budget"):
        known.cluster.kubectl("drain", *node, *words)
    assert _ready(known, "gateway") == 1
    known.cluster.kubectl("uncordon", *node)
    assert eventually(lambda: _ready(known, "gateway") == 2, seconds=300), known.look()


def _scale(known: Installation) -> None:
    """Questions bring a third query server by the processor time of the two, and their end takes it away."""
    name = f"query-{_serving(known, 'name')}"
    soon = json.dumps({"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 15}}}})
    known.kubectl("patch", "horizontalpodautoscaler", f"{OBJECTS}-{name}", "--type", "merge", "--patch", soon)
    traffic = known.traffic()
    with known.cluster.metrics():
        with traffic.flowing("more pods", callers=20):
            assert eventually(lambda: _ready(known, name) == 3, seconds=600), _scaling(known)
        with traffic.flowing("fewer pods", callers=1):
            assert eventually(lambda: len(_pods(known, name)) == 2, seconds=600), _scaling(known)


def _scaling(known: Installation) -> str:
    return known.kubectl("describe", "horizontalpodautoscalers") + known.kubectl("top", "pods")


def _remove(known: Installation) -> None:
    """Nothing of the release stays but what its page names, and that goes by the page's command."""
    uninstall, rest = (command.replace("-n rag", f"-n {known.namespace}", 1) for command in _commands("Remove"))
    known.page(uninstall)
    assert eventually(lambda: _kinds(known) <= {"job.batch", "pod"}, seconds=180), known.left()
    known.page(rest)
    assert eventually(lambda: known.left() == [], seconds=180), known.left()
    known.cluster.kubectl("delete", "namespace", known.namespace, "--wait")


def _kinds(known: Installation) -> set[str]:
    return {name.partition("/")[0] for name in known.left()}


def _good_runs(known: Installation) -> set[str]:
    """Jobs of Dagster that a Job of the cluster ran to a good end."""
    runs = known.cluster.objects("-n", known.namespace, "jobs", "-l", "rag-platform/role=run")
    return {run["metadata"]["labels"]["dagster/job"] for run in runs if run["status"].get("succeeded")}


def _serving(known: Installation, what: str = "release") -> str:
    """Release or name of the colour that has the traffic."""
    return next(colour[what] for colour in known.colours() if colour["weight"] == 100)


def _pods(known: Installation, component: str) -> list[dict[str, Any]]:
    found = known.cluster.objects("-n", known.namespace, "pods", "-l", f"app.kubernetes.io/component={component}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def _ready(known: Installation, component: str) -> int:
    conditions = [one for pod in _pods(known, component) for one in pod["status"].get("conditions", [])]
    return sum(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _members(known: Installation, colour: str) -> dict[str, tuple[float, float]]:
    """By gateway: how many servers of a colour it finds healthy, and how often its list of them has changed."""
    found = {}
    for pod in _pods(known, "gateway"):
        page = httpx.get(f"http://{pod['status']['podIP']}:9902/stats/prometheus", trust_env=False, timeout=30).text
        samples = [one for family in text_string_to_metric_families(page) for one in family.samples]
        values = {one.name: one.value for one in samples if one.labels == {"envoy_cluster_name": colour}}
        healthy, changes = (values.get(f"envoy_cluster_membership_{what}", 0.0) for what in ("healthy", "change_total"))
        found[pod["metadata"]["name"]] = (healthy, changes)
    return found


def _all_known(known: Installation, colour: str, before: dict[str, tuple[float, float]]) -> bool:
    """Return whether every gateway has two healthy servers of a colour, by a list that is newer than `before`."""
    found = _members(known, colour)
    return all(healthy == 2 and changes > before.get(pod, (0, -1))[1] for pod, (healthy, changes) in found.items())


def _restarts(known: Installation, component: str) -> int:
    return sum(one["restartCount"] for pod in _pods(known, component) for one in pod["status"]["containerStatuses"])


def _outside(cluster: Cluster, images: dict[str, str], password: str, key: str) -> None:
    """PostgreSQL and the index beside the cluster, under the names of the page."""
    cluster.kubectl("delete", "namespace", "outside", "--ignore-not-found", "--wait")
    cluster.namespace("outside")
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
        memory = {"name": "data", "emptyDir": {"medium": "Memory"}}  # no call waits for this machine's disk
        spec = {"securityContext": user, "containers": [container], "volumes": [memory]}
        pod = {"kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}
        front = {"selector": {"app": name}, "ports": [{"port": port}]}
        service = {"kind": "Service", "metadata": {"name": name}, "spec": front}
        for body in (pod, service):
            cluster.kubectl("-n", "outside", "apply", "-f", "-", given=json.dumps({"apiVersion": "v1", **body}))
        address = cluster.kubectl("-n", "outside", "get", "service", name, "-o", "jsonpath={.spec.clusterIP}")
        names.append(f"{address} {name}.example.com\n")
    cluster.name("".join(names))
    cluster.kubectl("-n", "outside", "wait", "--for=condition=Ready", "pod", "--all", "--timeout", "300s")


def _section(name: str) -> str:
    (text,) = re.findall(rf"(?ms)^## {name}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"))
    return text


def _blocks(section: str, language: str) -> list[str]:
    """The blocks of code of a section of the page."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", _section(section))


def _commands(section: str) -> list[str]:
    """The commands in a section's sentences."""
    return re.findall(r"`((?:kubectl|helm) -?[^`]+)`", _section(section))


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
