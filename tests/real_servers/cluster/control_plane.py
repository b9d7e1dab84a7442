"""A real Kubernetes API: apiserver, controller-manager and scheduler as one program of ours, with etcd beside it."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.ports import free_port
from tests.containers.engine import CACHE
from tests.support.postgres import die_with_parent

SOURCE = Path(__file__).parent / "controlplane"
HELM = "helm.sh/helm/v4/cmd/helm@v4.3.1"
"""The one Helm of the pipeline, the docs and these tests."""
_BUILD_SECONDS = 3600
_VERSION = {"gitVersion": "v1.34.2", "gitMajor": "1", "gitMinor": "34"}
_LINKED = "-s -w " + " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in _VERSION.items())


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """Where the API is, with a kubeconfig that may do everything."""

    kubeconfig: Path
    server: str
    authority: Path | None


def missing() -> str | None:
    """Why no API can be had here; None when one can."""
    if "KUBECONFIG" in os.environ:
        return None
    absent = [tool for tool in ("go", "etcd") if shutil.which(tool) is None]
    return (
        f"needs KUBECONFIG, or {' and '.join(absent)} to build a control plane (Debian: etcd-server)"
        if absent
        else None
    )


def helm() -> str:
    """The program of `RAG_TEST_HELM`, or from PATH when it is the pinned one, else built once."""
    if given := os.environ.get("RAG_TEST_HELM"):
        return given
    found, wanted = shutil.which("helm"), HELM.rpartition("@")[2]
    if (
        found
        and wanted in subprocess.run([found, "version", "--short"], capture_output=True, text=True, check=False).stdout
    ):
        return found
    return str(installed(HELM))


def installed(package: str) -> Path:
    """The program of a Go package at a version, built once."""
    path, _, version = package.partition("@")
    name = path.rpartition("/")[2]
    folder = CACHE / f"{name}-{version}"
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run(["go", "install", package], {"GOBIN": str(folder)}, Path.home())
    return folder / name


def program(source: Path = SOURCE, linked: str = _LINKED) -> Path:
    """A program of the tests, built once for what its sources are (Kubernetes: ten minutes of processor time)."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(source.iterdir()))).hexdigest()[:16]
    built = CACHE / f"{source.name}-{digest}"
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        go = ["go", "build", "-trimpath", "-ldflags", linked, "-o", f"{built}.part", "."]
        _run(go, {"CGO_ENABLED": "0"}, source)
        Path(f"{built}.part").rename(built)
    return built


@contextmanager
def kubernetes(folder: Path) -> Iterator[Kubernetes]:
    """The cluster of KUBECONFIG, or one of our own that ends with the test."""
    if given := os.environ.get("KUBECONFIG"):
        cluster = yaml.safe_load(Path(given).read_text())["clusters"][0]["cluster"]
        yield Kubernetes(Path(given), cluster["server"], None)
        return
    with ExitStack() as running:
        # Pods of the stand-in reach no API, and its node sends no heartbeats.
        api = ["--endpoint-reconciler-type", "none", "--advertise-address", "10.0.0.1"]
        yield start(folder, running, "127.0.0.1", api, ["--controllers", "*,-node-lifecycle-controller"])


def start(folder: Path, running: ExitStack, address: str, api: list[str], manager: list[str]) -> Kubernetes:
    """A control plane that listens at an address until `running` ends, with further flags of its programs."""
    port, token, built = free_port(), secrets.token_urlsafe(32), str(program())
    server = f"https://{address}:{port}"
    _keys(folder)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    config = folder / "admin.conf"
    config.write_text(kubeconfig(server, folder / "certs" / "apiserver.crt", token))
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    etcd = [
        "etcd",
        "--data-dir",
        str(folder / "etcd"),
        "--listen-client-urls",
        client,
        "--advertise-client-urls",
        client,
    ]
    etcd += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
    background(running, [*etcd, "--unsafe-no-fsync"], folder / "etcd.log")
    accounts = ["--service-account-key-file", str(folder / "sa.pub"), "--service-account-issuer", "https://kubernetes"]
    accounts += ["--service-account-signing-key-file", str(folder / "sa.key")]
    api = [built, "apiserver", *api, "--etcd-servers", client, "--bind-address", address, "--secure-port", str(port)]
    api += ["--cert-dir", str(folder / "certs"), "--service-cluster-ip-range", "10.96.0.0/16", *accounts]
    api += ["--token-auth-file", str(folder / "tokens.csv"), "--authorization-mode", "RBAC", "-v", "1"]
    background(running, api, folder / "apiserver.log")
    _await_ready(server, token, folder / "apiserver.log")
    common = ["--kubeconfig", str(config), "--leader-elect=false", "--secure-port", "0"]
    manager = [built, "controller-manager", *common, *manager]
    manager += ["--service-account-private-key-file", str(folder / "sa.key")]
    manager += ["--root-ca-file", str(folder / "certs" / "apiserver.crt")]
    background(running, manager, folder / "manager.log")
    background(running, [built, "scheduler", *common], folder / "scheduler.log")
    return Kubernetes(config, server, folder / "certs" / "apiserver.crt")


def kubeconfig(server: str, authority: Path | None, token: str) -> str:
    """For one user of one cluster."""
    cluster = {"server": server} | ({"certificate-authority": str(authority)} if authority else {})
    named = {"cluster": "test", "user": "test"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": named}],
            "current-context": "test",
        }
    )


def _keys(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, none)
    (folder / "sa.key").write_bytes(private)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "sa.pub").write_bytes(public)


def background(running: ExitStack, command: list[str], log: Path) -> None:
    """Start a program that ends with `running`, or with this process."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=die_with_parent)

    def end() -> None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)

    running.callback(end)


def _await_ready(server: str, token: str, log: Path) -> None:
    import ssl

    context = ssl._create_unverified_context()  # noqa: S323  the certificate is made by what is waited for
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(f"{server}/readyz", headers={"Authorization": f"Bearer {token}"})  # noqa: S310
    deadline = time.monotonic() + 180
    while True:
        try:
            with opener.open(request, timeout=10):
                return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.3)


def _run(command: list[str], environment: dict[str, str], folder: Path) -> None:
    given = {**os.environ, **environment}
    result = subprocess.run(
        command, env=given, cwd=folder, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
    )
    assert result.returncode == 0, f"{' '.join(command[:3])}: {result.stderr[-2000:]}"
