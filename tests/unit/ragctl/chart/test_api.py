"""Every preset against the schemas of three Kubernetes versions, and the Jobs that dagster-k8s makes of runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock
from urllib.parse import urlsplit

import dagster as dg
import pytest
import yaml
from dagster._config import process_config

from console.settings import ConsoleSettings
from rag_core.settings import Settings
from tests.support.chart import CHART, DIGEST, PRESETS, Manifest, everything, find, loaded, render, values
from tests.support.kubernetes import problems

if TYPE_CHECKING:
    from dagster_k8s import K8sRunLauncher  # the client of Kubernetes is as large as the rest of the suite's imports

VERSIONS = ("1.31", "1.34", "1.37")
# Objects of operators, whose schemas Kubernetes does not publish.
_FOREIGN = ("monitoring.coreos.com/", "keda.sh/", "cert-manager.io/", "gateway.networking.k8s.io/")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_object_is_valid_in_this_version(preset: str, version: str) -> None:
    own = [item for item in everything(values(preset)) if not item["apiVersion"].startswith(_FOREIGN)]
    assert len(own) > 40
    assert [problem for item in own for problem in problems(version, item)] == []


def test_the_examples_fit_the_chart() -> None:
    secret, backup, exporter, database = (
        loaded((CHART / "examples" / f"{name}.yaml").read_text("utf-8"))
        for name in ("external-secrets", "backup-postgresql", "redis-exporter", "postgresql-replica")
    )
    known = set((CHART / "files" / "secrets.txt").read_text("utf-8").split())
    given = {item["secretKey"] for item in secret["spec"]["data"]}
    assert {"RAG_DATABASE_URL", "RAG_PAGE_TOKEN_SECRET", "RAG_HASH_SECRET"} <= given <= known
    assert [problem for version in VERSIONS for item in (backup, exporter) for problem in problems(version, item)] == []
    for job in (backup["spec"]["jobTemplate"], exporter):
        [container] = job["spec"]["template"]["spec"]["containers"]
        reference = container["env"][-1]["valueFrom"]["secretKeyRef"]
        assert (reference["name"], reference["key"] in known) == (secret["spec"]["target"]["name"], True)
    assert (database["spec"]["instances"], database["spec"]["postgresql"]["synchronous"]["number"]) == (2, 1)


@pytest.fixture(scope="module")
def launcher_config() -> dict[str, Any]:
    data = find(render(values("production")), "ConfigMap", "-dagster")["data"]
    config: dict[str, Any] = yaml.load(data["dagster.yaml"], yaml.CSafeLoader)["run_launcher"]
    return config


@pytest.fixture(scope="module")
def launcher(launcher_config: dict[str, Any]) -> K8sRunLauncher:
    """Dagster's own, with the rendered configuration."""
    from dagster_k8s import K8sRunLauncher

    known = process_config(K8sRunLauncher.config_type(), launcher_config["config"])  # type: ignore[no-untyped-call]
    assert known.success, known.errors
    given = {name: value for name, value in launcher_config["config"].items() if name != "load_incluster_config"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dagster_k8s.launcher.load_kubernetes_config", lambda **_: None)
        return K8sRunLauncher(
            **given, load_incluster_config=False, k8s_client_batch_api=MagicMock(), k8s_client_core_api=MagicMock()
        )


@pytest.fixture(scope="module")
def job(launcher: K8sRunLauncher) -> Manifest:
    """The Job as the launcher would send it, made by its own code from the rendered configuration."""
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
    from kubernetes.client import ApiClient

    context = K8sContainerContext.create_from_config(None)
    context = context.merge(
        K8sContainerContext(
            env_config_maps=launcher.env_config_maps,
            volumes=launcher.volumes,
            volume_mounts=launcher.volume_mounts,
            labels=launcher.labels,
            resources=launcher.resources,
            namespace=launcher.job_namespace,
            service_account_name=launcher.service_account_name,
            image_pull_policy=launcher.image_pull_policy,
            run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(dict(launcher.run_k8s_config)),
        )
    )
    made = construct_dagster_k8s_job(
        job_config=context.get_k8s_job_config(launcher.job_image, launcher),
        args=["dagster", "api", "execute_run", "{}"],
        job_name="dagster-run-1",
        component="run_worker",
        user_defined_k8s_config=context.run_k8s_config,
    )
    plain: Manifest = ApiClient().sanitize_for_serialization(made)
    return plain


@pytest.mark.catalogue("A22")
@pytest.mark.parametrize(
    "config",
    [
        {"container_config": {"image": "evil.example/image"}},
        {"container_config": {"command": ["sh", "-c", "id"]}},
        {"container_config": {"env": [{"name": "PYTHONPATH", "value": "/data"}]}},
        {"container_config": {"resources": {"limits": {"memory": "99Gi"}}}},
        {"pod_spec_config": {"service_account_name": "deployer"}},
        {"pod_spec_config": {"host_network": True}},
        {"pod_template_spec_metadata": {"labels": {"rag-platform/role": "query"}}},
    ],
    ids=str,
)
def test_no_tag_of_a_run_changes_its_job(launcher: K8sRunLauncher, config: dict[str, Any]) -> None:
    plain = launcher.get_container_context_for_run(dg.DagsterRun("documents_sync"))
    assert plain.run_k8s_config.container_config["resources"]
    run = dg.DagsterRun("documents_sync", tags={"dagster-k8s/config": json.dumps(config)})
    with pytest.raises(Exception, match="violated the allowed list"):
        launcher.get_container_context_for_run(run)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_job_of_a_run_is_valid(job: Manifest, version: str) -> None:
    assert problems(version, job) == []


@pytest.mark.catalogue("S38")
def test_the_job_of_a_run_keeps_the_restricted_profile(job: Manifest) -> None:
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == f"registry.example.com/rag/dagster@{DIGEST}"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"].endswith("-run")
    assert container["resources"]["limits"]["memory"] == "4Gi"


def test_the_job_of_a_run_reads_settings_secrets_sources_and_documents(job: Manifest) -> None:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "rag-rag-platform-settings"}}]
    database = next(item for item in container["env"] if item["name"] == "RAG_DATABASE_URL")
    assert database["valueFrom"]["secretKeyRef"]["name"] == "rag-platform"
    mounts = {item["mountPath"]: item.get("readOnly", False) for item in container["volumeMounts"]}
    assert mounts["/etc/rag/sources"] is True
    assert mounts["/data/handbook"] is True
    assert mounts["/tmp"] is False  # noqa: S108
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600
    assert job["spec"]["backoffLimit"] == 0


@pytest.mark.catalogue("S39")
def test_the_network_policies_find_the_pod_of_a_run(job: Manifest) -> None:
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["rag-platform/role"] == "run"
    assert labels["rag-platform/release"] == "rag"


def test_the_instance_is_the_one_of_the_local_stack_with_another_launcher() -> None:
    from rag_assets.instance import render_dagster_yaml

    given = {"max_concurrent_runs": 7, "event_retention_days": 9}
    data = find(render(values("staging", {"settings": given})), "ConfigMap", "-dagster")["data"]
    deployed = yaml.load(data["dagster.yaml"], yaml.CSafeLoader)
    local = yaml.load(
        render_dagster_yaml(Settings.model_validate({"database_url": "postgresql://h/d", **given})), yaml.CSafeLoader
    )
    assert deployed.pop("run_launcher")["class"] == "K8sRunLauncher"
    local.pop("run_launcher")
    # Every process would build the launcher to see whether it can resume, and most have no token for that. A pod waits
    # longer for a node than a process for its start.
    for name, expected in {"max_resume_run_attempts": [0, 5], "start_timeout_seconds": [900, 120]}.items():
        assert [found["run_monitoring"].pop(name) for found in (deployed, local)] == expected
    assert deployed == local
    assert deployed["run_monitoring"]["enabled"] is True


@pytest.mark.parametrize("sign_in", ["none", "oidc"])
def test_the_console_is_reported_how_people_come_in_and_reads_the_servers_that_have_the_traffic(
    sign_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = values(
        "production",
        {"environment": "development", "console": {"signIn": sign_in}, "settings": {"allowed_hosts": ["dagster.lan"]}},
    )
    manifests = render(given)
    spec = find(manifests, "Deployment", "-console")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    for item in container["env"]:
        monkeypatch.setenv(item["name"], item["value"])
    message = ConsoleSettings()
    assert message.sign_in == sign_in
    mounted = {item["mountPath"] for item in container["volumeMounts"]}
    secret = next(volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume)
    if sign_in == "none":
        assert message.token_file is not None
        assert str(message.token_file.parent) in mounted
        assert secret == "rag-console"
    else:
        assert message.token_file is None
        assert str(Path(os.environ["STREAMLIT_SECRETS_FILES"]).parent) in mounted
        assert secret == "rag-console-oidc"
    assert message.query_address == "rag-rag-platform-query:50051"
    assert message.metrics_urls == "http://rag-rag-platform-query:9464/metrics"
    allowed = find(manifests, "ConfigMap", "-settings")["data"]["RAG_ALLOWED_HOSTS"].split(",")
    assert {urlsplit(message.dagster_url).hostname, urlsplit(message.metrics_urls).hostname, "dagster.lan"} <= {
        *allowed
    }


def test_query_servers_may_have_a_secret_of_their_own() -> None:
    manifests = everything(values("production", {"secrets": {"querySecret": "rag-reader"}}))
    of = {}
    for item in manifests:
        if item["kind"] in {"Deployment", "Job"}:
            for container in item["spec"]["template"]["spec"]["containers"]:
                names = {e["valueFrom"]["secretKeyRef"]["name"] for e in container.get("env", []) if "valueFrom" in e}
                of |= {item["metadata"]["name"].removeprefix("rag-rag-platform-"): names} if names else {}
    assert of.pop("query-blue") == of.pop("query-green") == {"rag-reader"}
    assert len(of) >= 6
    assert all(names == {"rag-platform"} for names in of.values())
