"""B76 and drift: what the values may say, and that the generated files are current."""

from __future__ import annotations

from typing import Any

import helm_python
import pytest

from rag_core.settings import Settings
from ragctl.chart import writer
from ragctl.chart.settings import secret_names, settable
from tests.support.chart import (
    CHART,
    PRESETS,
    ROOT,
    chart,
    containers,
    everything,
    files,
    find,
    loaded,
    merged,
    notes,
    render,
    values,
)


def test_generated_files_are_current() -> None:
    assert writer.stale(ROOT) == []


def test_the_readme_explains_every_value() -> None:
    rows = [line for line in (CHART / "README.md").read_text().splitlines() if line.startswith("| `")]
    assert "| `query.autoscaling.minReplicas` | `2` | Fewest pods. |" in rows
    assert [row for row in rows if not row.rsplit("|", 2)[1].strip()] == []


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_lints_without_a_warning(preset: str) -> None:
    report = helm_python.lint(CHART, values(preset), strict=True, namespace="rag")
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] >= 2] == []


@pytest.mark.catalogue("B76")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gateway": {"replicas": 0}}, "replicas"),
        ({"query": {"autoscaling": {"minReplicas": 0}}}, "minReplicas"),
        ({"query": {"maxUnavailable": 0}}, "maxUnavailable"),
        ({"images": {"tag": "latest"}}, "tag"),
        ({"images": {"query": "latest"}}, "query: latest is a tag"),
        ({"gateway": {"digest": "v1.40"}}, "gateway: v1.40 is a tag"),
        ({"gateway": {"digest": ""}}, "digest"),
        ({"console": {"resources": {"requests": None}}}, "requests"),
        ({"query": {"resources": {"limits": {"memory": None}}}}, "memory"),
        ({"query": {"resources": {"requests": {"cpu": "lots"}}}}, "cpu"),
        ({"settings": {"max_message_byte": 1}}, "max_message_byte"),
        ({"settings": {"default_top_k": 1000}}, "default_top_k"),
        ({"settings": {"database_url": "postgresql://u:p@h/d"}}, "database_url"),
        ({"settings": {"gateway_blue": "elsewhere:50051"}}, "gateway_blue"),
        ({"settings": {"gateway_client_per_minute": -1}}, "gateway_client_per_minute"),
        ({"console": {"signIn": "local"}}, "signIn"),
        ({"settings": {"replicas": 3}}, "replicas"),
        ({"settings": {"failpoint": "after_commit:1:kill"}}, "failpoint"),
        ({"networkPolicy": {"models": {"cidrs": ["128.0.0.0/1"]}}}, "cidrs"),
        ({"query": {"colours": {"green": {"weight": 100}}}}, "colours"),
        ({"dagster": {"code": {"replicas": 2}}}, "replicas"),
        ({"rollout": {"release": "installed of/today"}}, "release"),
        ({"quary": {}}, "quary"),
        # Values that contradict each other.
        ({"auth": {"jwks": ""}}, "exactly one of"),
        ({"auth": {"existingSecret": "keys"}}, "exactly one of"),
        ({"settings": {"qdrant_url": None}}, "qdrant_url"),
        ({"networkPolicy": {"models": {"cidrs": ["169.254.169.254/32"]}}}, "metadata service"),
        ({"stream": {"keda": {"enabled": True}}}, "bootstrapServers"),
        ({"stream": {"keda": {"enabled": True, "bootstrapServers": "kafka:9092"}}}, "topics"),
        ({"ingress": {"host": ""}}, "ingress.host"),
        ({"networkPolicy": {"apiServer": {"cidrs": []}}}, "networkPolicy.apiServer.cidrs is required"),
        ({"networkPolicy": {"postgresql": {"cidrs": []}}}, "networkPolicy.postgresql.cidrs is required"),
        (
            {"environment": "development", "console": {"signIn": "none", "ingress": {"host": "c.example.com"}}},
            "console.signIn: oidc",
        ),
        ({"console": {"signIn": "none"}}, "console.signIn: none lets everybody"),
        ({"gateway": {"autoscaling": {"minReplicas": 20}}}, "minReplicas is above maxReplicas"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_that_must_not_be_fails_the_render(change: dict[str, Any], says: str) -> None:
    with pytest.raises(helm_python.HelmError, match=says):
        render(values("production", change))


@pytest.mark.catalogue("B76")
@pytest.mark.parametrize("image", ["dagster", "query", "stream", "console"])
def test_a_missing_digest_fails_the_render(image: str) -> None:
    given = values("staging")
    del given["images"][image]
    with pytest.raises(helm_python.HelmError, match=image):
        render(given)


def test_outside_production_a_tag_will_do() -> None:
    tags = {"images": {"query": "0.2.0"}, "gateway": {"digest": "v1.40"}, "qdrant": {"digest": "v1.19.0"}}
    images = {container["image"] for _, container in containers(render(values("dev", tags)))}
    named = {
        "registry.example.com/rag/query:0.2.0",
        "docker.io/envoyproxy/envoy:v1.40",
        "docker.io/qdrant/qdrant:v1.19.0",
    }
    assert named <= images


def test_the_minimal_values_are_all_that_the_evaluation_preset_asks_for() -> None:
    preset, least = (loaded((CHART / f"values-{name}.yaml").read_text("utf-8")) for name in ("dev", "minimal"))
    assert files(merged(preset, least))
    for name in least:
        with pytest.raises(helm_python.HelmError):
            files(merged(preset, {key: value for key, value in least.items() if key != name}))


@pytest.mark.catalogue("B76")
def test_an_evaluation_part_needs_a_digest_only_when_it_runs() -> None:
    given = values("dev")
    del given["qdrant"]["digest"]
    with pytest.raises(helm_python.HelmError, match="digest"):
        render(given)
    assert "digest" not in values("production").get("qdrant", {})


def test_settings_reach_the_pods_as_the_program_reads_them() -> None:
    given = {"max_file_bytes": 123_456_789, "delete_guard_fraction": 0.25, "metadata_fields": ["team", "lang"]}
    data = find(render(values("staging", {"settings": given})), "ConfigMap", "-settings")["data"]
    settings = Settings(**{name.removeprefix("RAG_").lower(): value for name, value in data.items()})
    assert settings.max_file_bytes == 123_456_789
    assert settings.delete_guard_fraction == 0.25
    assert settings.metadata_fields == {"team", "lang"}
    assert settings.qdrant_url == "https://qdrant.example.com:6334"
    assert settings.environment == "production"


def test_every_setting_is_settable_or_decided_by_the_chart_or_secret() -> None:
    known = {*settable(), *(name.removeprefix("RAG_").lower() for name in secret_names())}
    left = set(Settings.model_fields) - known
    assert {name for name in left if not name.endswith("_port")} == {
        "answer_prompt_file",  # in a cluster the text itself is a value: `answer_prompt`
        "home",
        "environment",
        "host",
        "secrets_folder",
        "dagster_yaml",
        "code_location_host",
        "gateway_interfaces",
        "gateway_rate_limits",
        "traces",  # the viewer of a local stack
        "traces_days",
        "traces_gib",
        "qdrant_ca_file",
        "qdrant_cert_file",
        "qdrant_key_file",
        "index_endpoint",
        # NetworkPolicies part gateway and query servers from all others (docs/how-to/harden.md).
        "query_tls_certificate",
        "query_tls_key",
        "query_tls_ca",
        "gateway_query_certificate",
        "gateway_query_key",
        "jwt_public_keys",
        "sources_dir",
        "golden_dir",
        "questions_dir",
        "directories_dir",
        "erasure_folder",
        "reranker_dir",
        "database_owner_url",
        "failpoint",
        "replicas",
        "replica_ports",
        "gateway_blue",
        "gateway_green",
        "gateway_discovery",
        "gateway_tls_certificate",
        "gateway_tls_key",
        "log_json",
        "prometheus_url",
    }


def test_the_chart_and_the_program_have_one_version() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert chart().metadata["version"] == chart().metadata["appVersion"] == project["version"]


def test_the_notes_give_three_commands_that_name_what_exists() -> None:
    given = values("dev")
    text = notes(given)
    assert text.count("\n  helm test rag ") == 1
    services = {item["metadata"]["name"] for item in render(given) if item["kind"] == "Service"}
    named = {word.removeprefix("service/") for word in text.split() if word.startswith("service/")}
    assert named == {"rag-rag-platform-gateway", "rag-rag-platform-dagster-webserver"}
    assert named <= services


def test_the_colours_have_one_shape_and_each_its_scaler_and_budget() -> None:
    manifests = everything(values("production"))
    for colour in ("blue", "green"):
        assert "replicas" not in find(manifests, "Deployment", f"-query-{colour}")["spec"]
    for colour in ("blue", "green"):
        scaler = find(manifests, "HorizontalPodAutoscaler", f"-query-{colour}")
        assert scaler["spec"]["scaleTargetRef"]["name"].endswith(f"-query-{colour}")
        assert find(manifests, "PodDisruptionBudget", f"-query-{colour}")
        spread = find(manifests, "Deployment", f"-query-{colour}")["spec"]["template"]["spec"]
        assert {rule["topologyKey"] for rule in spread["topologySpreadConstraints"]} == {
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        }
