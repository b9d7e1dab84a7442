"""The jobs of .gitlab-ci.yml that sign, check and publish a release, with Debian's registry, cosign and glab.

What GitLab adds is small and stands here: the runner's call of glab for `release:`, and a key in place of the identity
that Sigstore gives a pipeline of GitLab.com.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from benchmarks.ports import free_port
from tests.support.chart import ROOT
from tests.support.postgres import die_with_parent
from tests.support.waiting import eventually

PROGRAMS = ("docker-registry", "cosign", "glab")
pytestmark = [
    pytest.mark.real_servers,
    pytest.mark.skipif(
        any(shutil.which(name) is None for name in PROGRAMS),
        reason="needs docker-registry, cosign and glab (Debian 13; elsewhere by scripts/newer_debian.sh)",
    ),
]
JOBS: dict[str, Any] = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text("utf-8"))
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
ROLES = ("dagster", "query", "stream", "console")
KEY = {
    "sign": ["--key", "cosign.key", "--tlog-upload=false"],
    "attest": ["--key", "cosign.key", "--tlog-upload=false"],
    "verify": ["--key", "cosign.pub", "--insecure-ignore-tlog"],
}


@dataclass
class Pipeline:
    """A folder in which scripts of jobs run, as after the jobs that they need."""

    folder: Path
    registry: str
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        return f"{self.registry}/rag/platform"

    def run(self, *lines: str, **extra: str) -> subprocess.CompletedProcess[str]:
        given = {**os.environ, **self.environment, "CI_REGISTRY_IMAGE": self.image, **extra}
        return subprocess.run(
            ["sh", "-ec", "\n".join(lines)], cwd=self.folder, env=given, capture_output=True, text=True, timeout=300
        )

    def job(self, name: str) -> subprocess.CompletedProcess[str]:
        """The script of a job that signs or checks, after the line that lists what was built."""
        listed = JOBS[".cosign"]["before_script"][-1]
        return self.run(listed, *JOBS[name]["script"], CI_SERVER_URL="https://gitlab.example", CI_COMMIT_TAG="v9")

    def push(self, role: str, content: bytes = b"{}") -> str:
        """Push an image of one layer; returns its digest."""
        with httpx.Client(base_url=f"http://{self.registry}", trust_env=False, timeout=60) as client:
            config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
            media, parts = "application/vnd.oci.image", []
            for kind, blob in ((f"{media}.config.v1+json", config.encode()), (f"{media}.layer.v1.tar", content)):
                name = f"sha256:{hashlib.sha256(blob).hexdigest()}"
                place = client.post(f"/v2/rag/platform/{role}/blobs/uploads/").headers["location"]
                client.put(f"{place}&digest={name}", content=blob).raise_for_status()
                parts.append({"mediaType": kind, "digest": name, "size": len(blob)})
            manifest = {
                "schemaVersion": 2,
                "mediaType": f"{media}.manifest.v1+json",
                "config": parts[0],
                "layers": parts[1:],
            }
            answer = client.put(
                f"/v2/rag/platform/{role}/manifests/built",
                headers={"content-type": f"{media}.manifest.v1+json"},
                content=json.dumps(manifest),
            )
            return answer.raise_for_status().headers["docker-content-digest"]

    def build(self, content: bytes) -> None:
        """What `images`, `digests` and `sbom` leave behind."""
        for role in ROLES:
            built = {"containerimage.digest": self.push(role, content + role.encode())}
            (self.folder / f"dist/{role}.json").write_text(json.dumps(built))
            bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []}
            (self.folder / f"dist/{role}.cdx.json").write_text(json.dumps(bill))
        done = self.run(*(line.replace("python3", sys.executable) for line in JOBS["digests"]["script"]))
        assert done.returncode == 0, done.stderr


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    """The programs in front of which a key stands for a pipeline's identity, and a registry."""
    folder, programs, port = tmp_path / "job", tmp_path / "bin", free_port()
    for needed in (folder / "dist", folder / "deploy", programs):
        needed.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/digest-values.py", folder / "deploy")
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "blobs")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (tmp_path / "registry.yml").write_text(yaml.safe_dump(config))
    keyed = f"""#!{sys.executable}
import os, sys
keys, given = {KEY!r}, [one for one in sys.argv[1:] if "sigstore" not in one]
while "--certificate-identity" in given or "--certificate-oidc-issuer" in given:
    at = next(place for place, one in enumerate(given) if one.startswith("--certificate-"))
    del given[at : at + 2]
os.execv({shutil.which("cosign")!r}, ["cosign", given[0], *keys.get(given[0], []), *given[1:]])
"""
    (programs / "cosign").write_text(keyed)
    (programs / "cosign").chmod(0o755)
    with (tmp_path / "registry.log").open("wb") as output:
        command = ["docker-registry", "serve", str(tmp_path / "registry.yml")]
        registry = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=die_with_parent)
        try:
            assert eventually(lambda: _answers(port))
            path = f"{programs}:{os.environ['PATH']}"
            made = Pipeline(folder, f"127.0.0.1:{port}", {"PATH": path, "COSIGN_PASSWORD": "", "HOME": str(tmp_path)})
            assert made.run("cosign generate-key-pair").returncode == 0
            yield made
        finally:
            registry.terminate()
            registry.wait(30)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False, timeout=10).is_success
    except httpx.HTTPError:
        return False


def test_what_is_deployed_is_what_this_pipeline_signed(pipeline: Pipeline) -> None:
    pipeline.build(b"first ")
    unsigned = pipeline.job("verify")
    assert unsigned.returncode != 0
    assert "no signatures" in unsigned.stderr
    signed = pipeline.job("sign")
    assert signed.returncode == 0, signed.stderr
    checked = pipeline.job("verify")
    assert checked.returncode == 0, checked.stderr
    attested = pipeline.run(
        "cosign verify-attestation --key cosign.pub --insecure-ignore-tlog --type cyclonedx"
        f" {pipeline.image}/query:built"
    )
    assert attested.returncode == 0, attested.stderr
    pipeline.build(b"second ")  # other images, not signed
    assert pipeline.job("verify").returncode != 0
    pipeline.run("mkdir other && cd other && cosign generate-key-pair && cd .. && mv other/* .")
    assert pipeline.job("sign").returncode == 0
    assert pipeline.job("verify").returncode == 0
    pipeline.run("mkdir third && cd third && cosign generate-key-pair && cd .. && mv third/cosign.pub .")
    assert pipeline.job("verify").returncode != 0, "somebody else signed them"


def test_a_tag_becomes_a_release_with_its_notes_and_what_it_is_made_of(tmp_path: Path, httpserver: HTTPServer) -> None:
    """The script of the job, then what the runner does with `release:` (GitLab's reference of the keyword)."""
    job, created = JOBS["release"], list[dict[str, Any]]()
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", clone], check=True)

    def answer(request: Request) -> Response:
        """GitLab's interface of releases: it keeps what is created."""
        if request.method == "GET":
            return Response('{"message": "404 Not Found"}', 404, mimetype="application/json")
        made = request.get_json()
        created.append({"path": request.path, "token": request.headers.get("private-token"), **made})
        return Response(
            json.dumps({**made, "_links": {"self": "http://127.0.0.1/release"}}), 201, mimetype="application/json"
        )

    httpserver.expect_request(re.compile("/api/v4/.*")).respond_with_handler(answer)
    address = httpserver.url_for("").rstrip("/")
    variables = {
        "CI_COMMIT_TAG": f"v{VERSION}", "CI_PROJECT_URL": f"{address}/rag/platform", "CI_JOB_ID": "7",
        "GITLAB_HOST": address.removeprefix("http://"), "GITLAB_TOKEN": "only-here", "HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    environment = {**os.environ, **variables}
    release = json.loads(json.dumps(job["release"]))
    links = [{name: _expanded(text, variables) for name, text in one.items()} for one in release["assets"]["links"]]
    plain = f"glab config set api_protocol http --host {address.removeprefix('http://')}"
    script = [*job["script"], plain, (
        f'glab release create "{release["tag_name"]}" --repo rag/platform --no-update --no-close-milestone'
        f" --notes-file {release['description']} --assets-links '{json.dumps(links)}'"
    )]  # fmt: skip
    done = subprocess.run(
        ["sh", "-ec", "\n".join(script)], cwd=clone, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [made, *linked] = created
    assert (made["path"], made["tag_name"]) == ("/api/v4/projects/rag/platform/releases", f"v{VERSION}")
    notes = (ROOT / "CHANGELOG.md").read_text("utf-8").partition(f"## [{VERSION}]")[2].partition("\n## [")[0]
    assert made["description"].strip() == notes.partition("\n")[2].strip()
    assert {one["url"] for one in linked} == {f"{address}/rag/platform/-/jobs/7/artifacts/browse/dist"}
    assert {one["token"] for one in created} == {"only-here"}


def _expanded(text: str, variables: dict[str, str]) -> str:
    for name, value in variables.items():
        text = text.replace(f"${name}", value)
    return text
