"""One real Kubernetes API for all tests of this folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.real_servers.cluster.control_plane import Kubernetes, kubernetes, missing


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    if why := missing():
        pytest.skip(why)
    with kubernetes(tmp_path_factory.mktemp("kubernetes")) as running:
        _know_operators(running)
        yield running


def _know_operators(cluster: Kubernetes) -> None:
    """The kinds of the Prometheus operator, so that its objects can be created."""
    for kind in ("ServiceMonitor", "PrometheusRule"):
        plural = f"{kind.lower()}s"
        version = {
            "name": "v1", "served": True, "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }  # fmt: skip
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.monitoring.coreos.com"},
            "spec": {
                "group": "monitoring.coreos.com",
                "names": {"kind": kind, "plural": plural},
                "scope": "Namespaced",
                "versions": [version],
            },
        }
        command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "apply", "-f", "-"]
        subprocess.run(command, input=json.dumps(body), text=True, check=True, capture_output=True)
