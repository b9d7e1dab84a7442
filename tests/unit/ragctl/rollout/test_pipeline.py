"""S43: the GitLab pipeline, read as a runner would: who may do what, in which order, with which secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ragctl.chart.parts import Rollout
from tests.real_servers.cluster.control_plane import HELM
from tests.support.chart import ROOT

PIPELINE: dict[str, Any] = yaml.load((ROOT / ".gitlab-ci.yml").read_text("utf-8"), yaml.CSafeLoader)
TEXT = (ROOT / ".gitlab-ci.yml").read_text("utf-8")
_KEYWORDS = {"stages", "workflow", "variables", "default"}


def resolved(name: str) -> dict[str, Any]:
    """A job with what it inherits; the nearest says last."""
    job: dict[str, Any] = PIPELINE[name]
    return {**resolved(job["extends"]), **job} if "extends" in job else job


JOBS = {name: resolved(name) for name in PIPELINE if name not in _KEYWORDS and not name.startswith(".")}
TESTS = {name for name, job in JOBS.items() if job["stage"] == "test" and name != "nightly"}


def needs(name: str) -> set[str]:
    """The jobs that a job waits for, those among them that not every pipeline has."""
    return {item["job"] if isinstance(item, dict) else item for item in JOBS[name].get("needs", [])}


def before(name: str) -> set[str]:
    """All jobs that have ended well when a job begins."""
    return needs(name).union(*(before(item) for item in needs(name)))


def commands(job: dict[str, Any]) -> str:
    return "\n".join([*job.get("before_script", []), *job["script"]])


def test_every_kind_of_work_has_a_job() -> None:
    wanted = {"lint", "typecheck", "unit", "integration", "browser", "chart", "audit", "images", "sbom", "scan", "sign"}
    wanted |= {
        "verify",
        "review",
        "stop-review",
        "staging",
        "deploy",
        "rollback",
        "nightly",
    }
    assert wanted <= JOBS.keys()


def test_what_the_test_stage_does_is_a_make_target() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
    for name in [*TESTS, "nightly"]:
        used = set(re.findall(r"(?m)^make ([a-z-]+)", "\n".join(JOBS[name]["script"])))
        used |= {target for row in JOBS[name].get("parallel", {}).get("matrix", []) for target in row["TARGET"]}
        assert used, name
        assert used <= targets, name
    workflow = (ROOT / ".github" / "workflows" / "ci.yaml").read_text("utf-8")
    assert set(re.findall(r"run: make ([a-z-]+)", workflow)) <= targets


def test_no_job_takes_back_what_a_target_leaves_out() -> None:
    """A `-m` among the arguments would replace that of the target: a job of browser tests ran the fault tests, too."""
    for name, job in JOBS.items():
        for given in re.findall(r'PYTEST_ARGS="([^"]*)"', "\n".join(job["script"])):
            assert "-m" not in given.split(), name


def test_what_needs_neither_gitlab_nor_privileges_is_run_by_ci_local() -> None:
    script = (ROOT / "scripts" / "ci_local.sh").read_text("utf-8")
    (found,) = re.findall(r"\|\| jobs=\(([a-z ]+)\)", script)
    left_out = {name for name in re.findall(r"`([a-z-]+)`", script) if name in JOBS}
    assert set(found.split()) | left_out == TESTS | {"nightly", "release"}


@pytest.mark.catalogue("S43")
def test_only_protected_refs_build_sign_and_deploy() -> None:
    for name, job in JOBS.items():
        if job["stage"] == "test":
            continue
        assert "environment" in job or job["stage"] in {"build", "secure"}, name
        for rule in job["rules"]:
            assert 'CI_COMMIT_REF_PROTECTED == "true"' in rule["if"], name
            merge_requests = re.search(r'PIPELINE_SOURCE != "merge_request_event"', rule["if"])
            assert merge_requests or "$CI_COMMIT_TAG" in rule["if"], name


@pytest.mark.catalogue("S43")
@pytest.mark.parametrize("name", sorted(TESTS))
def test_jobs_of_merge_requests_hold_no_secret(name: str) -> None:
    job = JOBS[name]
    assert "id_tokens" not in job
    assert "environment" not in job
    assert not re.search(r"\$\{?(CI_REGISTRY|CI_JOB_TOKEN|KUBE_|RAG_VALUES)", commands(job))


@pytest.mark.catalogue("S43")
def test_no_long_lived_secret_is_named() -> None:
    named = set(re.findall(r"\$\{?(\w*(?:PASSWORD|TOKEN|SECRET|KEY)\w*)", TEXT))
    # The registry's are the job's own and end with it; the others are made for one job by `id_tokens`.
    assert named <= {"CI_REGISTRY_PASSWORD", "TRIVY_PASSWORD", "KUBE_TOKEN"}
    made = {token for job in JOBS.values() for token in job.get("id_tokens", {})}
    assert made == {"SIGSTORE_ID_TOKEN", "KUBE_TOKEN"}


@pytest.mark.catalogue("S43")
def test_what_is_deployed_was_scanned_signed_and_verified() -> None:
    always = TESTS - {"cluster", "containers", "real-servers"}  # by what was changed, and every night
    for name in ("review", "staging", "deploy"):
        assert before(name) >= always | {"images", "sbom", "digests", "scan", "sign", "verify"}, name
        assert "dist/digests.yaml" in commands(JOBS[name])
    assert "--certificate-identity " in commands(JOBS["verify"])
    assert "--certificate-oidc-issuer" in commands(JOBS["verify"])
    assert "staging" in before("deploy")


@pytest.mark.catalogue("S43")
@pytest.mark.parametrize("name", ["images", "publish-chart", "release", "staging", "deploy"])
def test_nothing_of_a_tag_is_built_or_released_unless_its_images_run(name: str) -> None:
    assert "containers" in before(name)
    assert {"if": "$CI_COMMIT_TAG"} in JOBS["containers"]["rules"]


def test_a_job_that_makes_a_release_has_the_program_that_does_it() -> None:
    """GitLab runs `glab` (or, until 20.0, `release-cli`) in the job's image."""
    made = [job["image"] for job in JOBS.values() if "release" in job]
    assert made
    assert all(image.startswith("registry.gitlab.com/gitlab-org/cli:") for image in made)


def test_the_digests_of_the_registry_become_values_which_the_jobs_of_cosign_read(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    digests = {role: f"sha256:{number:064x}" for number, role in enumerate(("dagster", "query", "stream", "console"))}
    for role, digest in digests.items():
        (dist / f"{role}.json").write_text(json.dumps({"containerimage.digest": digest}), encoding="utf-8")
    command = [sys.executable, str(ROOT / "deploy" / "digest-values.py"), str(dist), "registry.example/rag"]
    values = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (dist / "digests.yaml").write_text(values, encoding="utf-8")
    assert yaml.load(values, yaml.CSafeLoader) == {"images": {"registry": "registry.example/rag", **digests}}
    subprocess.run(["bash", "-c", JOBS["sign"]["before_script"][-1]], cwd=tmp_path, check=True)
    assert dict(line.split() for line in (tmp_path / "images.txt").read_text("utf-8").splitlines()) == digests


def test_the_page_says_of_every_job_how_it_was_run() -> None:
    page = (ROOT / "docs" / "reference" / "supported.md").read_text("utf-8")
    section = page.partition("## The pipeline of GitLab")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([a-z-]+)`", section)) >= JOBS.keys()


def test_production_waits_for_a_person_and_the_nightly_for_its_schedule() -> None:
    assert [rule["when"] for rule in JOBS["deploy"]["rules"]] == ["manual"]
    assert [rule["when"] for rule in JOBS["rollback"]["rules"]] == ["manual"]
    assert [rule["if"] for rule in JOBS["nightly"]["rules"]] == ['$CI_PIPELINE_SOURCE == "schedule"']


def test_the_nightly_benchmarks_are_compared_with_the_last_which_every_end_keeps() -> None:
    job = JOBS["nightly"]
    words = job["variables"]["BENCH_ARGS"].split()
    file, ratio = words[words.index("--compare") + 1], words[words.index("--worst-ratio") + 1]
    assert float(ratio) > 1
    (kept,) = (cache for cache in job["cache"] if str(Path(file).parent) in cache["paths"])
    assert kept["when"] == "always"
    assert "$TARGET" in kept["key"], "a job that measures nothing would keep the older figures"
    assert "rag bench all $(BENCH_ARGS)" in (ROOT / "Makefile").read_text("utf-8")


def test_caches_are_keyed_by_the_lock() -> None:
    caches = [JOBS[name]["cache"] for name in TESTS]
    each = [cache for found in caches for cache in (found if isinstance(found, list) else [found])]
    keyed = {tuple(cache["key"]["files"]) for cache in each if cache["paths"] == [".cache/uv"]}
    # A slash in a key is refused by GitLab, and names of images have some.
    assert all(not set("/$") & set(cache["key"]["prefix"]) for cache in each)
    assert keyed == {("requirements/dev.txt",)}


def test_the_helm_of_the_pipeline_is_the_one_that_the_tests_and_the_docs_use() -> None:
    pinned = HELM.rpartition("@v")[2]
    assert JOBS["deploy"]["image"]["name"].endswith(f"/helm:{pinned}")
    assert f"Helm {pinned}" in (ROOT / "docs" / "how-to" / "deploy-to-kubernetes.md").read_text("utf-8")


def test_no_job_makes_a_namespace_which_would_lack_its_secrets() -> None:
    assert "--create-namespace" not in TEXT


def test_an_upgrade_waits_longer_than_the_rollout_may_take() -> None:
    (minutes,) = {int(found) for found in re.findall(r"--timeout (\d+)m", TEXT)}
    assert minutes * 60 > Rollout().deadline_seconds


def test_every_image_has_a_version() -> None:
    images = [job.get("image", PIPELINE["default"]["image"]) for job in JOBS.values()]
    names = {image["name"] if isinstance(image, dict) else image for image in images} | {
        PIPELINE["variables"]["PYTHON_IMAGE"]
    }
    for name in names - {"$PYTHON_IMAGE"}:
        assert re.search(r":v?\d+\.\d+|:\$CI_COMMIT_SHA$", name), name


def test_actions_are_named_by_digest() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yaml").read_text("utf-8")
    used = re.findall(r"uses: \S+@(\S+)", workflow)
    assert len(used) >= 2
    assert all(re.fullmatch("[0-9a-f]{40}", name) for name in used)


def test_interfaces_are_compared_with_their_whole_history() -> None:
    assert JOBS["lint"]["variables"]["GIT_DEPTH"] == "0"
