"""A Docker engine of the test's own, images built from the checkout, and the stack of deploy/compose.yaml on them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.chart import ROOT

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rag-tests"
"""What tests build or unpack once."""
GIVEN = os.environ.get("RAG_TEST_DOCKER_HOST", "")
"""Address of an engine that runs already, for a pipeline that has one as a service."""
BASE = os.environ.get("RAG_TEST_BASE", "")
"""Base image; empty: one made of Debian's packages, because no registry can be reached."""
BUILT = bool(os.environ.get("RAG_TEST_IMAGES"))
"""The given engine holds the images already."""
_DEBIAN = ("docker.io", "docker-cli", "docker-buildx", "docker-compose", "containerd")
_ENGINE = ("docker", "docker-compose", *(() if GIVEN else ("dockerd", "containerd")))
_TOOLS = (*(() if GIVEN else ("runc", "iptables")), *(() if BASE else ("mmdebstrap",)))
PROJECT = "rag-containers"
PORTS = {"RAG_GATEWAY_PORT": "18081", "RAG_DAGSTER_PORT": "13001", "RAG_CONSOLE_PORT": "18502"}
_DOCUMENTS_EXIST = Path(__file__).parent
_FORWARDS = Path("/proc/sys/net/ipv4/ip_forward")
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_BASE_PACKAGES = "ca-certificates,python3,python3-venv"


def missing() -> str | None:
    """Why containers cannot be run here, `None` when they can."""
    if os.geteuid() != 0:
        return "needs root, to run a Docker engine"
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    absent += [] if shutil.which("apt-get") else [tool for tool in _ENGINE if shutil.which(tool) is None]
    packages = " ".join((*_DEBIAN, "iptables", "mmdebstrap", "runc"))
    return f"needs {', '.join(absent)} (Debian 13: {packages})" if absent else None


def tools() -> dict[str, str]:
    """An environment that finds the engine's programs: this machine's, or those of Debian 13, which run on 12 too."""
    if all(shutil.which(tool) for tool in _ENGINE) and _builds():
        return dict(os.environ)
    folder = CACHE / "debian"
    if not (folder / "config.json").exists():
        run(dict(os.environ), str(ROOT / "scripts" / "newer_debian.sh"), str(folder), *_DEBIAN)
        plugins = {"cliPluginsExtraDirs": [str(folder / "usr" / "libexec" / "docker" / "cli-plugins")]}
        (folder / "config.json").write_text(json.dumps(plugins))
    paths = f"{folder}/usr/bin:{folder}/usr/sbin:{os.environ['PATH']}"
    return {**os.environ, "PATH": paths, "DOCKER_CONFIG": str(folder)}


def _builds() -> bool:
    """True when the machine's client has the plugin that builds: a package of its own, and no program on the path."""
    return subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0


@contextmanager
def engine(folder: Path, data: Path | None = None) -> Iterator[dict[str, str]]:
    """A running engine; yields the environment that reaches it. One of our own is gone afterwards with all it made.

    With `data` what it builds stays there for the next one.
    """
    if GIVEN:
        yield {**tools(), "DOCKER_HOST": GIVEN, **PORTS}
        return
    socket, data = folder / "docker.sock", data or folder / "data"
    forwards = _FORWARDS.read_text()
    _FORWARDS.write_text("1")  # or the engine does it, and shuts everybody else's way at the same time
    command = ["dockerd", "--ip-forward=false", "--data-root", str(data), "--exec-root", str(folder / "exec")]
    command += ["--pidfile", str(folder / "pid"), "--host", f"unix://{socket}"]
    environment = {**tools(), "DOCKER_HOST": f"unix://{socket}", **PORTS}
    with (folder / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "version"], env=environment, capture_output=True, check=False).returncode:
            assert process.poll() is None, (folder / "dockerd.log").read_text()[-2000:]
            assert time.monotonic() < deadline, "the engine does not answer"
            time.sleep(0.2)
        yield environment
    finally:
        process.terminate()
        process.wait(60)
        # The engine mounts its folder onto itself and leaves it so.
        subprocess.run(["umount", str(data)], capture_output=True, check=False)
        _remove_network()
        _FORWARDS.write_text(forwards)


def _remove_network() -> None:
    """The engine leaves its bridge and its rules of the packet filter."""
    subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True, check=False)
    for tool in ("iptables", "ip6tables"):
        rules = subprocess.run([f"{tool}-save"], capture_output=True, text=True, check=True).stdout
        others = "".join(line for line in rules.splitlines(keepends=True) if "docker" not in line.lower())
        subprocess.run([f"{tool}-restore"], input=others, text=True, capture_output=True, check=True)


def build(environment: dict[str, str], folder: Path, *targets: str) -> None:
    """The base, all our images and their contents in one build, and stand-ins for upstream ones; or only `targets`."""
    if BUILT:
        return
    base = folder / "base.tar"
    known = subprocess.run(
        ["docker", "image", "inspect", "rag-base:local"], env=environment, capture_output=True, check=False
    )
    if not BASE and known.returncode:
        bootstrap = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_BASE_PACKAGES}", "trixie", str(base)]
        run(environment, *bootstrap)
        run(environment, "docker", "import", str(base), "rag-base:local")
    given = {"BASE": BASE or "rag-base:local", "CERTIFICATES": str(_CERTIFICATES) if _CERTIFICATES.exists() else ""}
    files = ["-f", str(ROOT / "deploy" / "docker-bake.hcl"), "-f", str(_DOCUMENTS_EXIST / "bake.hcl")]
    where = ["--set", f"sbom.output=type=local,dest={folder / 'sbom'}"]
    bake = ["docker", "buildx", "bake", "--progress", "plain", *files, *where]
    bake += targets or ("images", "sbom", "stand-ins")
    run({**environment, **given}, *bake)


def run(environment: dict[str, str], *command: str) -> str:
    """Run a command to its end and return what it printed; its errors are the test's failure."""
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, f"{' '.join(command[:4])} …: {(result.stdout + result.stderr)[-3000:]}"
    return result.stdout


def compose(environment: dict[str, str], *arguments: str, more: str = "") -> str:
    """Docker Compose on our file with the test's changes; `more` is one more profile."""
    files = ["-f", str(ROOT / "deploy" / "compose.yaml"), "-f", str(_DOCUMENTS_EXIST / "compose.override.yaml")]
    profiles = ["--profile", "core", "--profile", "stream", *(("--profile", more) if more else ())]
    return run(environment, "docker-compose", *files, "-p", PROJECT, *profiles, *arguments)
