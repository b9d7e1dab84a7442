"""Render the Helm chart in process with the required values, and walk over the result."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "rag-platform"
PRESETS = ("dev", "staging", "production")
DIGEST = "sha256:" + "a" * 64
NAMESPACE = "rag-space"

Manifest = dict[str, Any]

_GIVEN: dict[str, Any] = {
    "images": {"dagster": DIGEST, "query": DIGEST, "stream": DIGEST, "console": DIGEST},
    "gateway": {"digest": DIGEST},
    "auth": {"jwks": '{"keys": []}'},
    "sources": {
        "files": {"handbook": "type: rag_assets.components.DocumentSource\n"},
        "claims": [{"name": "handbook", "claimName": "handbook", "mountPath": "/data/handbook"}],
    },
}
_OUTSIDE: dict[str, Any] = {
    "settings": {"qdrant_url": "https://qdrant.example.com:6334"},
    "ingress": {"host": "rag.example.com"},
    "networkPolicy": {
        "apiServer": {"cidrs": ["10.0.0.1/32"]},
        "postgresql": {"cidrs": ["10.1.0.0/24"]},
        "qdrant": {"cidrs": ["10.2.0.0/24"]},
        "kafka": {"cidrs": ["10.3.0.0/24"]},
        "models": {"cidrs": ["0.0.0.0/0"], "port": 8443},
        "identity": {"cidrs": ["10.4.0.0/24"]},
    },
}
_INSIDE: dict[str, Any] = {"postgresql": {"digest": DIGEST}, "qdrant": {"digest": DIGEST}}


def merged(base: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """As Helm merges several value files: the later one wins, key by key."""
    result = copy.deepcopy(base)
    for other in others:
        for key, value in other.items():
            both = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def values(preset: str, *others: dict[str, Any]) -> dict[str, Any]:
    """The values of a preset, with what every installation must add, and more."""
    return merged(_preset(preset), _GIVEN, _INSIDE if preset == "dev" else _OUTSIDE, *others)


@cache
def _preset(name: str) -> dict[str, Any]:
    return dict(loaded((CHART / f"values-{name}.yaml").read_text("utf-8")))


def loaded(text: str) -> Any:
    """The one document of a YAML text, by the C loader: the pure one takes ten times as long as Helm itself."""
    return yaml.load(text, yaml.CSafeLoader)


@cache
def chart() -> helm_python.Chart:
    """The chart, loaded once."""
    return helm_python.Chart.load(CHART)


def files(given: dict[str, Any], *, name: str = "rag") -> dict[str, str]:
    """What Helm makes of every file of the chart."""
    return dict(chart().render(values=given, name=name, namespace=NAMESPACE))


def objects(text: str) -> list[Manifest]:
    """The objects of a file."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def render(given: dict[str, Any], *, name: str = "rag") -> list[Manifest]:
    """Every object the values give; the caller's own, who may change them."""
    manifests: list[Manifest] = pickle.loads(_rendered(json.dumps(given, sort_keys=True), name))  # noqa: S301
    return manifests


@lru_cache(maxsize=32)
def _rendered(given: str, name: str) -> bytes:
    """Tests ask for the same values again and again, and reading what Helm made takes longer than Helm."""
    made = files(json.loads(given), name=name)
    return pickle.dumps([item for path, text in made.items() if path.endswith(".yaml") for item in objects(text)])


def everything(given: dict[str, Any], *, green: int = 0) -> list[Manifest]:
    """As `render`, and what the deployer makes of it: both colours, and the routes with weights."""
    manifests = render(given)
    wanted = find(manifests, "ConfigMap", "-query-release")["data"]
    made = [loaded(wanted["deployment.yaml"].replace("@@colour@@", colour)) for colour in ("blue", "green")]
    text = wanted["routes.yaml"].replace("@@weight-green@@", str(green)).replace("@@weight-blue@@", str(100 - green))
    metadata = {"name": "rag-rag-platform-gateway-routes", "namespace": NAMESPACE}
    routes = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"routes.yaml": text}}
    return [*manifests, *made, routes]


def notes(given: dict[str, Any]) -> str:
    """Helm's output after an installation."""
    return next(text for path, text in files(given).items() if path.endswith("NOTES.txt"))


def pod_specs(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Each pod specification with the name of the object it belongs to."""
    for item in manifests:
        name = f"{item['kind']}/{item['metadata']['name']}"
        if item["kind"] == "Pod":
            yield name, item["spec"]
        elif item["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield name, item["spec"]["template"]["spec"]


def containers(manifests: list[Manifest], *, initial: bool = True) -> Iterator[tuple[str, Manifest]]:
    """Each container, also of hook and test pods, and those that run before others unless `initial` is false."""
    for name, spec in pod_specs(manifests):
        for container in [*(spec.get("initContainers", []) if initial else []), *spec["containers"]]:
            yield f"{name}/{container['name']}", container


def find(manifests: list[Manifest], kind: str, ending: str) -> Manifest:
    """The one object of a kind whose name ends so."""
    (found,) = (i for i in manifests if i["kind"] == kind and i["metadata"]["name"].endswith(ending))
    return found
