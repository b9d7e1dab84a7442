"""Shards of a source as Jobs on two nodes: all of it once, a small source beside them, and a node that loses power.

    RAG_TEST_SHARD_DOCUMENTS=20000 make test-cluster PYTEST_ARGS="tests/cluster/test_nodes.py"

also measures them, by how many run at once.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_clients.dagster import DagsterClient
from rag_clients.dagster_answers import DagsterRun
from rag_core.settings import Settings
from ragctl.dagster import dagster_client
from tests.cluster.images import pinned
from tests.cluster.installation import ANSWER, CUT, OBJECTS, Installation, documents, identity, volume
from tests.cluster.machine import FIRST, SECOND, Machine
from tests.cluster.node import PAUSE, Cluster
from tests.support.chart import merged
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.root, pytest.mark.timeout(3600)]
_log = logging.getLogger("cluster")
MEASURED = "RAG_TEST_SHARD_DOCUMENTS"
DOCUMENTS = int(os.environ.get(MEASURED, "400"))
SHARDS = 8
SLOTS = 4
AT_ONCE = (8, 4, 2, 1)
"""Shards at once of the measurement."""
_HANDBOOK = "/data/handbook"
_NO_CHANGES: dict[str, Any] = {"sensor": None, "schedule": None, "freshness_minutes": None}
"""Runs begin when the test asks for them."""
# A run has a quarter of a core, so that a machine with two shows what several at once are worth. Everything else is on
# the first node, which stays.
_PARTS: dict[str, Any] = {
    "settings": {"embedder": "fake", "max_concurrent_runs": SLOTS, "embedding_runs": SHARDS},
    "dagster": {
        "runs": {
            "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "250m", "memory": "1Gi"}},
            "nodeSelector": {"kubernetes.io/os": "linux"},
        }
    },
    "pods": {"nodeSelector": {"kubernetes.io/hostname": FIRST.name}},
    "query": {"autoscaling": {"minReplicas": 1, "maxReplicas": 1}},
    "gateway": {"replicas": 1},
    "interfaces": {"enabled": False},
    "console": {"enabled": False},
}


@pytest.fixture(scope="module")
def second(node: tuple[Cluster, dict[str, str]]) -> Iterator[Machine]:
    cluster, images = node
    began = time.monotonic()
    with cluster.joined([pinned("dagster:1", images["dagster:1"])]) as machine:
        # What the first holds beside runs, so that the scheduler gives both as many of them.
        asked = {"requests": {"cpu": "480m", "memory": "768Mi"}}
        container = {"name": "pod", "image": PAUSE, "imagePullPolicy": "Never", "resources": asked}
        spec = {"nodeName": SECOND.name, "containers": [container]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "as-much"}, "spec": spec}
        cluster.kubectl("-n", "default", "apply", "-f", "-", given=json.dumps(body))
        _log.info("a second node is ready and has the image of runs, %.0f s", time.monotonic() - began)
        yield machine


@pytest.fixture(scope="module")
def known(
    node: tuple[Cluster, dict[str, str]], second: Machine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The preset `dev` with the sources, none of them read."""
    cluster, images = node
    folder = tmp_path_factory.mktemp("nodes")
    keys, token = identity(folder)
    known = Installation(cluster, folder, "rag-nodes", "dev", images, token)
    cluster.namespace(known.namespace, **{"pod-security.kubernetes.io/enforce": "restricted"})
    known.secrets(f"{OBJECTS}-postgresql", secrets.token_urlsafe(24), secrets.token_urlsafe(40))
    for name in ("one", "two"):
        volume(cluster, f"nodes-{name}", "ReadWriteOnce", "10Gi")
    files = documents(cluster, known.namespace, (FIRST, SECOND))
    sources = {"small": _source("small", "acme", 1), "library": _source("library", "default", SHARDS)}
    _write(files / "small", 4)
    (files / "leave.md").rename(files / "small" / "leave.md")
    _write(files / "library", DOCUMENTS)
    for runs in AT_ONCE if MEASURED in os.environ else ():
        sources[f"measured{runs}"] = _source(f"measured{runs}", "default", SHARDS)
        _write(files / f"measured{runs}", DOCUMENTS)
    claim = {"name": "handbook", "claimName": "handbook", "mountPath": _HANDBOOK}
    mine = {"auth": {"jwks": keys}, "sources": {"files": sources, "claims": [claim]}}
    (folder / "mine.yaml").write_text(yaml.safe_dump(mine))
    (folder / "cut.yaml").write_text(yaml.safe_dump(merged(CUT, _PARTS)))
    known.upgrade(1)
    yield known
    known.helm("uninstall", "rag", "--wait")
    cluster.kubectl("delete", "namespace", known.namespace, "--wait")


def test_shards_run_on_both_nodes_and_a_small_source_does_not_wait_for_them(known: Installation) -> None:
    _, token = identity(known.folder, "acme")
    stranger = Installation(known.cluster, known.folder, known.namespace, known.preset, known.images, token).traffic()
    with _dagster(known) as api:
        api.launch("library", shards=SHARDS)
        assert eventually(lambda: len(_runs(api, "library")) == SHARDS, seconds=120)
        began = time.monotonic()
        small = api.launch("small")
        assert eventually(lambda: ANSWER in stranger.ask(), seconds=600), known.look()
        states = Counter(run.status for run in _runs(api, "library"))
        _log.info("the small source is found, %.0f s; the large one: %s", time.monotonic() - began, dict(states))
        assert states["QUEUED"] > 0, "it waited for every shard to begin"
        assert eventually(lambda: _ended(api, "library"), seconds=2400), known.look()
        assert Counter(run.status for run in _runs(api, "library")) == {"SUCCESS": SHARDS}
        assert {run.run_id: run.status for run in _runs(api, "small")} == {small: "SUCCESS"}
        _log.info("%d documents in %d shards, %.0f s", DOCUMENTS, SHARDS, _seconds(_runs(api, "library")))
    assert set(_nodes(known).values()) == {FIRST.name, SECOND.name}
    assert _counted(known) == {"library": DOCUMENTS, "small": 5}
    _verify(known, "library", "small")


@pytest.mark.skipif(MEASURED not in os.environ, reason=f"a measurement: {MEASURED}=20000")
@pytest.mark.parametrize("runs", AT_ONCE)
def test_shards_at_once_are_measured(known: Installation, runs: int) -> None:
    _limit(known, runs)
    with _dagster(known) as api:
        api.launch(f"measured{runs}", shards=SHARDS)
        assert eventually(lambda: _ended(api, f"measured{runs}"), seconds=3000), known.look()
        ended = _runs(api, f"measured{runs}")
        assert Counter(run.status for run in ended) == {"SUCCESS": SHARDS}
        each = [(run.ended or 0) - (run.started or 0) for run in ended]
        figures = (DOCUMENTS, runs, _seconds(ended), min(each), max(each), os.getloadavg()[1])
        _log.info("%d documents, %d at once: %.0f s; a shard %.0f to %.0f s, load %.1f", *figures)


def test_runs_of_a_node_that_loses_power_fail_and_are_begun_again_on_the_other(
    known: Installation, second: Machine
) -> None:
    files = known.cluster.machine.folder / "volumes" / f"{known.namespace}-handbook"
    _limit(known, SLOTS)
    _write(files / "library", DOCUMENTS, "second edition")
    with _dagster(known) as api:
        before = {run.run_id for run in _runs(api, "library")}
        api.launch("library", shards=SHARDS)

        def there() -> set[str]:
            """Runs that work on the second node."""
            begun = {run.run_id for run in _runs(api, "library") if run.status == "STARTED"} - before
            return {run for run, name in _nodes(known).items() if name == SECOND.name} & begun

        assert eventually(there, seconds=300), known.look()
        lost = there()
        began = time.monotonic()
        second.cut_off()
        known.cluster.kubectl("delete", "node", SECOND.name)  # what an operator, or a cloud's controller, does
        assert eventually(lambda: _ended(api, "library", len(before) + SHARDS), seconds=2400), known.look()
        ended = sorted((run for run in _runs(api, "library") if run.run_id not in before), key=lambda run: run.created)
        _log.info("%d runs were there; all ended %.0f s after the cut", len(lost), time.monotonic() - began)
        assert {run.status for run in ended if run.run_id in lost} == {"FAILURE"}
        assert {run.partition: run.status for run in ended} == dict.fromkeys(map(str, range(SHARDS)), "SUCCESS")
    assert _counted(known)["library"] == DOCUMENTS
    _verify(known, "library")


def _source(name: str, tenant: str, shards: int) -> str:
    attributes = {"name": name, "tenant": tenant, "acl": ["everyone"], "shards": shards, **_NO_CHANGES}
    attributes["options"] = {"kind": "folder", "root": f"{_HANDBOOK}/{name}"}
    return yaml.safe_dump({"type": "rag_assets.components.DocumentSource", "attributes": attributes})


def _write(folder: Path, count: int, edition: str = "first edition") -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        text = f"The {edition} says that shelf {number * 7} holds box {number * 13}."
        (folder / f"{number}.md").write_text(f"# Note {number} of {folder.name}\n\n{text}\n")


@contextmanager
def _dagster(known: Installation) -> Iterator[DagsterClient]:
    """Dagster's webserver, by its Service."""
    words = ("get", "service", f"{OBJECTS}-dagster-webserver", "-o", "jsonpath={.spec.clusterIP}")
    settings = Settings(home=known.folder / "identity", host=known.kubectl(*words))
    with closing(dagster_client(settings)) as api:
        yield api


def _runs(api: DagsterClient, source: str) -> list[DagsterRun]:
    return api.search_runs({"tags": [{"key": "rag/sync", "value": source}]})


def _ended(api: DagsterClient, source: str, asked: int = SHARDS) -> bool:
    """Whether the runs of a source that were asked for have ended, and what Dagster began again for them."""
    runs = _runs(api, source)
    repeated = [run for run in runs if run.tags.get("dagster/will_retry") == "true"]
    begun = all(run.tags.get("dagster/auto_retry_run_id") for run in repeated)
    return len(runs) >= asked and begun and all(run.ended for run in runs)


def _seconds(runs: list[DagsterRun]) -> float:
    return max(run.ended or 0 for run in runs) - min(run.created for run in runs)


def _nodes(known: Installation) -> dict[str, str]:
    """The node of each run whose pod has had one."""
    pods = known.cluster.objects("-n", known.namespace, "pods", "-l", "rag-platform/role=run")
    return {pod["metadata"]["labels"]["dagster/run-id"]: pod["spec"].get("nodeName", "") for pod in pods}


def _rag(known: Installation, *words: str) -> Any:
    said = known.kubectl("exec", f"deploy/{OBJECTS}-dagster-code", "--", "rag", *words, "--output", "json")
    return json.loads(said)["data"]


def _counted(known: Installation) -> dict[str, int]:
    """Searchable documents of the sources that have any."""
    rows = _rag(known, "source", "status")
    assert not [row for row in rows if row["pending"] or row["quarantined"]], rows
    return {row["name"]: row["documents"] for row in rows if row["documents"] and "measured" not in row["name"]}


def _verify(known: Installation, *sources: str) -> None:
    """Nothing differs between sources, rows and index, and each chunk that is looked for is found by its vector."""
    words = [word for source in sources for word in ("--source", source)]
    report = _rag(known, "verify", "--sample", "200", *words)
    assert report["clean"], report
    assert report["points"] == report["expected"]


def _limit(known: Installation, shards: int) -> None:
    """So many shards run at once from now on."""
    name = f"{OBJECTS}-dagster"
    data = json.loads(known.kubectl("get", "configmap", name, "-o", "json"))["data"]
    instance = yaml.safe_load(data["dagster.yaml"])
    runs = instance["concurrency"]["runs"]
    runs["max_concurrent_runs"] = shards + 1
    (limit,) = [one for one in runs["tag_concurrency_limits"] if one["key"] == "dagster/partition"]
    limit["limit"] = shards
    patch = json.dumps({"data": {"dagster.yaml": yaml.safe_dump(instance)}})
    known.kubectl("patch", "configmap", name, "--patch", patch)
    known.kubectl("rollout", "restart", f"deployment/{OBJECTS}-dagster-daemon")
    known.kubectl("rollout", "status", f"deployment/{OBJECTS}-dagster-daemon", "--timeout", "300s")
