"""Objects of Argo Rollouts and the Gateway API, asked in the real API with the schemas that these projects publish.

Their Go modules hold the CustomResourceDefinitions. No controller of theirs runs here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.real_servers.cluster.control_plane import Kubernetes, helm
from tests.support.chart import CHART, GATEWAY_API, PRESETS, Manifest, find, render, values

pytestmark = [pytest.mark.real_servers, pytest.mark.timeout(1800)]
MODULES = {
    "github.com/argoproj/argo-rollouts@v1.8.3": ("manifests/crds", ("rollout-crd.yaml", "analysis-template-crd.yaml")),
    "sigs.k8s.io/gateway-api@v1.4.0": ("config/crd/standard", ("gateway.networking.k8s.io_grpcroutes.yaml",)),
}
ARGO = {"rollout": {"engine": "argo-rollouts"}}
ROUTED = {"rollout": GATEWAY_API}


@dataclass
class Space:
    """A namespace of a cluster that knows the kinds of others."""

    cluster: Kubernetes
    name: str

    def kubectl(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "--kubeconfig", str(self.cluster.kubeconfig), "-n", self.name, *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False)

    def taken(self, item: Manifest) -> str:
        """What the API says against an object; empty: nothing."""
        body = {**item, "metadata": {**item["metadata"], "namespace": self.name}}
        asked = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-")
        return self.kubectl(*asked, given=json.dumps(body)).stderr

    def upgrade(self, file: Path, given: dict[str, Any]) -> str:
        file.write_text(yaml.safe_dump(given))
        known = ["--kubeconfig", str(self.cluster.kubeconfig), "-n", self.name, "--dry-run=server"]
        command = [helm(), "upgrade", "--install", "rag", str(CHART), "-f", str(file), *known]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.fixture(scope="module")
def space(cluster: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Space]:
    found = Space(cluster, "rag-engines")
    for module, (folder, files) in MODULES.items():
        command = ["go", "mod", "download", "-json", module]
        where = tmp_path_factory.mktemp("module")
        message = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
        if message.returncode:
            pytest.skip(f"needs the Go module {module}")
        for name in files:
            path = Path(json.loads(message.stdout)["Dir"]) / folder / name
            applied = found.kubectl("apply", "--server-side", "-f", str(path))
            assert applied.returncode == 0, applied.stderr
    for kind in ("rollouts.argoproj.io", "analysistemplates.argoproj.io", "grpcroutes.gateway.networking.k8s.io"):
        ready = found.kubectl("wait", "--for=condition=Established", f"crd/{kind}", "--timeout=60s")
        assert ready.returncode == 0, ready.stderr
    found.kubectl("create", "namespace", found.name)
    yield found
    found.kubectl("delete", "namespace", found.name, "--wait=false")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_rollout_and_its_analysis_are_what_argo_publishes(space: Space, preset: str) -> None:
    manifests = render(values(preset, ARGO))
    for kind in ("Rollout", "AnalysisTemplate"):
        (item,) = (item for item in manifests if item["kind"] == kind)
        assert space.taken(item) == ""
    rollout = find(manifests, "Rollout", "-query")
    rollout["spec"]["strategy"]["blueGreen"]["promote"] = True
    assert "promote" in space.taken(rollout), "a wrong field would be seen"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_route_with_weights_is_what_the_gateway_api_publishes(space: Space, preset: str) -> None:
    text = find(render(values(preset, ROUTED)), "ConfigMap", "-query-release")["data"]["route.yaml"]
    for green in (0, 10, 100):
        filled = text.replace("@@weight-green@@", str(green)).replace("@@weight-blue@@", str(100 - green))
        assert space.taken(yaml.safe_load(filled)) == ""
    assert "weight" in space.taken(yaml.safe_load(filled.replace("100", "-1"))), "a wrong weight would be seen"


@pytest.mark.parametrize(
    ("before", "key"), [("builtin", "routes.yaml"), ("gateway-api", "route.yaml"), ("argo-rollouts", "")]
)
def test_an_engine_cannot_be_changed_while_its_servers_serve(
    space: Space, tmp_path: Path, before: str, key: str
) -> None:
    """Helm would remove what the other engine has made, or its weight."""
    name, engines = "rag-rag-platform-query", {"builtin": {}, "gateway-api": ROUTED, "argo-rollouts": ARGO}
    body: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-release"},
        "data": {key: ""},
    }
    if before == "argo-rollouts":
        body = find(render(values("dev", ARGO)), "Rollout", "-query")
    body["metadata"] = {"name": body["metadata"]["name"], "namespace": space.name}
    made = space.kubectl("create", "-f", "-", given=json.dumps(body))
    assert made.returncode == 0, made.stderr
    try:
        for engine, change in engines.items():
            said = space.upgrade(tmp_path / "values.yaml", values("dev", change))
            assert (f"rollout.engine is {before} here and cannot be changed" in said) is (engine != before), said
    finally:
        space.kubectl("delete", "-f", "-", given=json.dumps(body))
