"""What the values do: each changes the objects that it names, and no value is without effect."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from pydantic import BaseModel

from rag_core.answering.evaluation import load_questions, question_files
from ragctl.chart.values import Values
from tests.support.chart import (
    CHART,
    DIGEST,
    everything,
    files,
    find,
    loaded,
    merged,
    objects,
    pod_specs,
    render,
    values,
)

OTHER = "sha256:" + "b" * 64
KEDA = {"enabled": True, "bootstrapServers": "kafka:9092", "topics": [{"topic": "t", "consumerGroup": "g"}]}
_BASE: dict[str, Any] = {
    "stream": {"enabled": True, "keda": KEDA},
    "ingress": {"kind": "ingress", "host": "rag.example.com", "className": "nginx", "tls": {"clusterIssuer": "le"}},
    "monitoring": {
        "serviceMonitor": True,
        "prometheusRule": True,
        "dashboards": True,
        "postgresExporter": {"enabled": True, "digest": DIGEST},
    },
    "rateLimits": {"enabled": True},
    "backup": {"claim": "backups"},
    "valkey": {"enabled": True, "digest": DIGEST},
    "gateway": {"autoscaling": {"enabled": True}, "serviceType": "LoadBalancer"},
    "tracing": {"endpoint": "http://collector:4318", "traceUrl": "http://jaeger/trace/{trace}"},
    "console": {"signIn": "oidc", "ingress": {"host": "console.example.com"}},
    "networkPolicy": {
        "operatorNamespace": "ops",
        **{name: {"cidrs": ["10.8.0.0/24"]} for name in ("sources", "models", "kafka", "identity")},
    },
}
_OPEN_CONSOLE: dict[str, Any] = {"environment": "development", "console": {"signIn": "none", "ingress": {"host": ""}}}
_INSTEAD: dict[str, dict[str, Any]] = {
    # What a value needs around it to have an effect.
    "auth.existingConfigMap": {"auth": {"jwks": "", "existingConfigMap": "keys"}},
    "auth.existingSecret": {"auth": {"jwks": "", "existingSecret": "keys"}},
    "stream.replicas": {"stream": {"keda": {"enabled": False}, "replicas": 7}},
    "stream.enabled": {"stream": {"enabled": False}},
    "gateway.replicas": {"gateway": {"autoscaling": {"enabled": False}, "replicas": 7}},
    "console.tokenSecret": {**_OPEN_CONSOLE, "console": {**_OPEN_CONSOLE["console"], "tokenSecret": "other"}},
    "interfaces.publicUrl": {"interfaces": {"publicUrl": "https://rag.example.com"}},
    "interfaces.authorizationServers": {"interfaces": {"authorizationServers": ["https://idp.example.com"]}},
    "console.signIn": _OPEN_CONSOLE,
    "ingress.gateway.name": {"ingress": {"kind": "gateway", "gateway": {"name": "public"}}},
    "ingress.gateway.namespace": {"ingress": {"kind": "gateway", "gateway": {"name": "public", "namespace": "other"}}},
    "ingress.gateway.section": {"ingress": {"kind": "gateway", "gateway": {"name": "public", "section": "other"}}},
    "ingress.kind": {"ingress": {"kind": "none"}},
    "query.autoscaling.minReplicas": {"query": {"autoscaling": {"minReplicas": 2}}},
    "postgresql.enabled": {
        "postgresql": {"enabled": False},
        "networkPolicy": {"postgresql": {"cidrs": ["10.1.0.0/24"]}},
    },
    "qdrant.enabled": {
        "qdrant": {"enabled": False},
        "networkPolicy": {"qdrant": {"cidrs": ["10.1.0.0/24"]}},
        "settings": {"qdrant_url": "https://qdrant.example.com:6334"},
    },
    "valkey.enabled": {"valkey": {"enabled": False}, "networkPolicy": {"redis": {"cidrs": ["10.1.0.0/24"]}}},
    "rateLimits.enabled": {"rateLimits": {"enabled": False}},
    "networkPolicy.redis.cidrs": {
        "valkey": {"enabled": False},
        "networkPolicy": {"redis": {"cidrs": ["10.2.0.0/24"]}},
    },
    "networkPolicy.redis.port": {
        "valkey": {"enabled": False},
        "networkPolicy": {"redis": {"cidrs": ["10.1.0.0/24"], "port": 6380}},
    },
    "secrets.qdrantTlsFiles": {"secrets": {"qdrantTlsSecret": "qdrant-tls", "qdrantTlsFiles": ["ca.crt", "tls.crt"]}},
    "networkPolicy.enabled": {"networkPolicy": {"enabled": False}},
    "tracing.endpoint": {"tracing": {"endpoint": "https://other:4318"}},
    "tracing.share": {"tracing": {"share": 0.5}},
    "tracing.traceUrl": {"tracing": {"traceUrl": "https://other/{trace}"}},
    "sources.claims": {"sources": {"claims": [{"name": "wiki", "claimName": "wiki", "mountPath": "/data/wiki"}]}},
    "sources.golden": {"sources": {"golden": [{"name": "wiki", "configMap": "golden-wiki"}]}},
    "sources.questions": {"sources": {"questions": [{"tenant": "default", "configMap": "own-questions"}]}},
    "sources.files": {"sources": {"files": {"wiki": "type: x\n"}}},
    "images.pullSecrets": {"images": {"pullSecrets": [{"name": "registry"}]}},
    "stream.keda.topics": {"stream": {"keda": {"topics": [{"topic": "u", "consumerGroup": "g"}]}}},
    "pods.tolerations": {"pods": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}},
    "pods.affinity": {"pods": {"affinity": {"nodeAffinity": {}}}},
    "pods.volumes": {"pods": {"volumes": [{"name": "authorities", "configMap": {"name": "authorities"}}]}},
    "pods.volumeMounts": {"pods": {"volumeMounts": [{"name": "authorities", "mountPath": "/etc/authorities"}]}},
}


def _leaves(model: type[BaseModel], path: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    found = []
    for name, field in model.model_fields.items():
        at = (*path, field.alias or name)
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            found += _leaves(nested, at)
        else:
            found.append((".".join(at), field))
    return found


_SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def _changed(path: str, field: Any) -> dict[str, Any]:
    """Values in which this one differs from what `_BASE` has."""
    if path in _INSTEAD:
        return _INSTEAD[path]
    value: Any = {"int": 77, "float": 7.5, "str": "other", "bool": True}.get(_kind(path), "other")
    names = path.split(".")
    if names[-1] in {"memory", "storage"}:
        value = "7Gi"
    elif names[-1] == "cpu":
        value = "7"
    elif names[-1] == "digest" or (
        names[0] == "images" and len(names) == 2 and names[1] in {"dagster", "query", "stream", "console"}
    ):
        value = OTHER
    elif names[-1] == "cidrs":
        value = ["10.77.0.0/24"]
    elif names[-1] in {"maxReplicas", "minReplicas"}:
        value = 9
    elif (choices := _choices(path)) is not None:
        value = choices[-1] if _current(path) != choices[-1] else choices[0]
    elif _kind(path) == "bool":
        value = not _current(path)
    elif _kind(path) == "object":
        value = {"other": "value"}
    made: Any = value
    for name in reversed(names):
        made = {name: made}
    return dict(made)


def _node(path: str) -> dict[str, Any]:
    node: dict[str, Any] = _SCHEMA
    for name in path.split("."):
        node = node["properties"][name]
        while "$ref" in node:
            node = _SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
        if "allOf" in node:
            node = _SCHEMA["$defs"][node["allOf"][0]["$ref"].rpartition("/")[2]]
    return node


def _kind(path: str) -> str:
    node = _node(path)
    return {"integer": "int", "number": "float", "boolean": "bool", "object": "object"}.get(node.get("type", ""), "str")


def _choices(path: str) -> list[Any] | None:
    found: list[Any] | None = _node(path).get("enum")
    return found


def _current(path: str) -> Any:
    given: Any = merged(values("dev", _BASE))
    for name in path.split("."):
        if not isinstance(given, dict) or name not in given:
            return _node(path).get("default")
        given = given[name]
    return given


def _files(preset: str, *given: dict[str, Any]) -> dict[str, str]:
    return {name: text for name, text in files(values(preset, *given)).items() if name.endswith(".yaml")}


@cache
def _unchanged(preset: str) -> dict[str, str]:
    return _files(preset, _BASE)


@pytest.mark.parametrize(("path", "field"), _leaves(Values), ids=lambda item: item if isinstance(item, str) else "")
def test_every_value_changes_what_is_rendered(path: str, field: Any) -> None:
    if path == "settings":
        return
    preset = (
        "production" if path.startswith("networkPolicy.") and path.split(".")[1] in {"postgresql", "qdrant"} else "dev"
    )
    change = _changed(path, field)
    before, after = _unchanged(preset), _files(preset, _BASE, change)
    other = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    # Only what the objects say counts, not the comments of a file.
    assert any(objects(before.get(name, "")) != objects(after.get(name, "")) for name in other), change


def test_every_pod_gets_what_all_pods_get() -> None:
    pods = {
        "labels": {"team": "search"},
        "nodeSelector": {"pool": "rag"},
        "tolerations": [{"key": "rag", "operator": "Exists"}],
        "priorityClassName": "important",
        "env": {"HTTPS_PROXY": "http://proxy:3128"},
        "volumes": [{"name": "authorities", "configMap": {"name": "authorities"}}],
        "volumeMounts": [{"name": "authorities", "mountPath": "/etc/authorities"}],
    }
    manifests = everything(values("production", {"pods": pods}))
    for name, spec in pod_specs(manifests):
        assert spec["nodeSelector"] == {"pool": "rag"}, name
        assert spec["tolerations"] == [{"key": "rag", "operator": "Exists"}], name
        assert spec["priorityClassName"] == "important", name
        assert "authorities" in {volume["name"] for volume in spec["volumes"]}, name
        for container in spec["containers"]:
            assert "/etc/authorities" in {mount["mountPath"] for mount in container["volumeMounts"]}, name
    query = find(manifests, "Deployment", "-query-green")["spec"]["template"]
    assert query["metadata"]["labels"]["team"] == "search"
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in query["spec"]["containers"][0]["env"]


def test_the_names_of_objects_begin_as_the_installation_says() -> None:
    for given, start in (({"fullnameOverride": "search"}, "search-"), ({"nameOverride": "find"}, "rag-find-")):
        names = {item["metadata"]["name"] for item in render(values("production", given))}
        assert all(name.startswith(start) for name in names), given


def test_the_console_of_production_asks_who_comes() -> None:
    container = find(render(values("production")), "Deployment", "-console")["spec"]["template"]["spec"]["containers"][
        0
    ]
    assert {"name": "RAG_CONSOLE_SIGN_IN", "value": "oidc"} in container["env"]


def test_the_certificates_for_qdrant_are_where_the_index_is_read_or_written_and_nowhere_else() -> None:
    files = ["ca.crt", "tls.crt", "tls.key"]
    given = values("dev", _BASE, {"secrets": {"qdrantTlsSecret": "qdrant-tls", "qdrantTlsFiles": files}})
    manifests = everything(given)
    settings = find(manifests, "ConfigMap", "-settings")["data"]
    assert [settings[f"RAG_QDRANT_{name}_FILE"] for name in ("CA", "CERT", "KEY")] == [
        f"/etc/rag/qdrant/{name}" for name in files
    ]
    having = set()
    for name, spec in pod_specs(manifests):
        for volume in spec.get("volumes", []):
            if volume["name"] == "qdrant-tls":
                assert volume["secret"]["secretName"] == "qdrant-tls"
                assert [item["key"] for item in volume["secret"]["items"]] == files
                mounts = [mount for one in spec["containers"] for mount in one.get("volumeMounts", [])]
                assert {"name": "qdrant-tls", "mountPath": "/etc/rag/qdrant", "readOnly": True} in mounts
                having.add(name.removeprefix("Deployment/rag-rag-platform-"))
    assert {"query-blue", "query-green", "stream", "dagster-code"} <= having
    assert not having & {"gateway", "console", "postgresql", "qdrant"}
    runs = find(manifests, "ConfigMap", "-dagster")["data"]["dagster.yaml"]
    assert "secret_name: qdrant-tls" in runs
    assert "mount_path: /etc/rag/qdrant" in runs


def test_without_certificates_for_qdrant_no_pod_names_any() -> None:
    assert "/etc/rag/qdrant" not in json.dumps(everything(values("dev", _BASE)))


def test_files_of_questions_are_where_runs_read_those_of_each_tenant(tmp_path: Path) -> None:
    own = [
        {
            "tenant": "default",
            "files": {"leave.yaml": "- question: How long is parental leave?\n  expected: 16 weeks\n"},
        },
        {"tenant": "Acme_eu", "configMap": "acme-questions"},
    ]
    manifests = everything(values("dev", {"sources": {"questions": own}}))
    assert find(manifests, "ConfigMap", "-settings")["data"]["RAG_QUESTIONS_DIR"] == "/etc/rag/questions"
    spec = dict(pod_specs(manifests))["Deployment/rag-rag-platform-dagster-code"]
    maps = {volume["name"]: volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
    places = {mount["mountPath"]: maps.get(mount["name"]) for mount in spec["containers"][0]["volumeMounts"]}
    assert places["/etc/rag/questions/Acme_eu"] == "acme-questions"
    # What the chart writes is read as the program reads a mounted folder.
    folder = tmp_path / "default"
    folder.mkdir()
    for name, text in find(manifests, "ConfigMap", places["/etc/rag/questions/default"] or "")["data"].items():
        (folder / name).write_text(text)
    (path,) = question_files(tmp_path, "default")
    assert [one.text for one in load_questions(path)] == ["How long is parental leave?"]
    runs = loaded(find(manifests, "ConfigMap", "-dagster")["data"]["dagster.yaml"])
    assert "mount_path: /etc/rag/questions/Acme_eu" in yaml.safe_dump(runs)
    assert "name: acme-questions" in yaml.safe_dump(runs)


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ([{"tenant": "a", "configMap": "x"}, {"tenant": "a", "configMap": "y"}], "names the tenant a twice"),
        ([{"tenant": "a"}], "tenant a needs files or configMap"),
        ([{"tenant": "a", "configMap": "x", "files": {"q.yaml": "[]"}}], "needs files or configMap, one of them"),
        ([{"tenant": "a", "files": {"questions.txt": ""}}], "questions.txt is no name of a file of questions"),
        ([{"tenant": "../a", "configMap": "x"}], "tenant"),
    ],
)
def test_questions_that_no_run_could_read_are_refused(own: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(helm_python.HelmError, match=says):
        render(values("dev", {"sources": {"questions": own}}))
