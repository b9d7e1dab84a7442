"""docs/how-to/deploy-to-kubernetes.md, word by word, from nothing to a tested installation."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_core.database.embedded.server import EmbeddedPostgres
from rag_core.settings import Settings
from ragctl.tokens import ensure_keys, mint_token
from tests.real_servers.cluster.control_plane import Kubernetes, helm
from tests.real_servers.cluster.node import Node, with_password
from tests.support.chart import ROOT
from tests.support.postgres import temporary_database

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(3600)]
PAGE = ROOT / "docs" / "how-to" / "deploy-to-kubernetes.md"
GIVEN = "postgresql://rag:PASSWORD@postgres.example.com:5432/rag"


def blocks(section: str, language: str) -> list[str]:
    """The blocks of code of a section."""
    (text,) = re.findall(rf"(?ms)^## {section}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"))
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)


@pytest.fixture
def node(cluster: Kubernetes, tmp_path: Path) -> Iterator[Node]:
    made = Node(cluster, "rag", tmp_path / "pods")
    made.folder.mkdir()
    yield made
    made.core.delete_namespace("rag")
    made.close()


def test_the_page_leads_from_nothing_to_a_tested_installation(
    node: Node, postgres_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    _what_the_reader_has(tmp_path)
    digests, mine = blocks("Before", "yaml")
    (tmp_path / "digests.yaml").write_text(re.sub("sha256:…", lambda _: "sha256:" + secrets.token_hex(32), digests))
    (tmp_path / "mine.yaml").write_text(mine)
    (before,), (install,) = blocks("Before", "sh"), blocks("Install", "sh")
    with temporary_database(postgres_server) as url:
        assert GIVEN in before
        _run(before.replace(GIVEN, with_password(url)).replace("QDRANT_KEY", secrets.token_urlsafe(40)), node, tmp_path)
        node.start()
        _claim(node)
        said = _run(install, node, tmp_path)
        assert "STATUS: deployed" in said
        assert said.count("Phase:          Succeeded") >= 3, said


def _what_the_reader_has(folder: Path) -> None:
    identity = Settings(home=folder / "identity")
    identity.secrets_dir.mkdir(parents=True)
    ensure_keys(identity)
    token = mint_token(identity, subject="deployer", scopes=("query.read",), groups=(), lifetime=3600)
    (folder / "deploy-token").write_text(token)
    (folder / "jwks.json").write_text(identity.jwks_path.read_text())
    (folder / "secrets.toml").write_text(blocks("The console", "toml")[0])
    golden = folder / "golden" / "handbook"
    golden.mkdir(parents=True)
    (golden / "corpus.jsonl").write_text('{"_id": "handbook/leave.md"}\n')
    (golden / "queries.jsonl").write_text('{"_id": "q1", "text": "how many days of leave are there"}\n')
    (golden / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\thandbook/leave.md\t1\n")
    (folder / "helm").symlink_to(ROOT / "helm")


def _claim(node: Node) -> None:
    """The volume with documents, and the operators' kinds, which the page asks for."""
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadOnlyMany"], "hostPath": {"path": "/none"}}
    node.core.create_persistent_volume({"metadata": {"name": "rag-handbook"}, "spec": spec})
    asked = {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}}
    node.core.create_namespaced_persistent_volume_claim("rag", {"metadata": {"name": "handbook"}, "spec": asked})


def _run(script: str, node: Node, folder: Path) -> str:
    paths = f"{Path(helm()).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(node.kubernetes.kubeconfig), "PATH": paths}
    command = ["bash", "-euo", "pipefail", "-c", script]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr + str(node.problems[-3:]) + str(node.waiting)
    return result.stdout
