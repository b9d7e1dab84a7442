"""The images of the cluster's tests: built by an engine, copied to the node, and known there by digest."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.node import Cluster
from tests.containers.engine import CACHE, build, engine, run

REGISTRY = "registry.example.com/rag"
ROLES = ("dagster", "query", "stream", "console")
TAGS = (1, 2, 3, 4)
BAD = 4
"""The tag whose query servers end at their start."""
_STAND_INS = ("postgres", "envoy")
_PUBLISHED = {"postgres": "library/postgres", "envoy": "envoyproxy/envoy", "index": "qdrant/qdrant"}
"""What the chart calls them."""
_FILES = Path(__file__).parent


def load(cluster: Cluster, folder: Path) -> dict[str, str]:
    """Build everything and bring it to the node; returns the digest of each image by its name (`query:1`)."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with engine(folder, CACHE / "docker") as environment:
        build(environment, folder, "images", *_STAND_INS)
        names = [*_STAND_INS, "index", "pause"]
        for name in ("index", "pause"):
            _build(environment, name, name)
        for role, tag in [(role, tag) for role in ROLES for tag in TAGS]:
            target = "bad" if (role, tag) == ("query", BAD) else "tag"
            _build(environment, f"{role}:{tag}", target, f"ROLE={role}", f"TAG={tag}")
            names.append(f"{role}:{tag}")
        cluster.load(environment, *(_local(name) for name in names))
    return {name: _pin(cluster, name) for name in names}


def _build(environment: dict[str, str], name: str, target: str, *arguments: str) -> None:
    words = ["docker", "buildx", "build", "--quiet", "--target", target, "--tag", _local(name)]
    words += [word for argument in arguments for word in ("--build-arg", argument)]
    run(environment, *words, "--file", str(_FILES / "images.Dockerfile"), str(_FILES))


def _pin(cluster: Cluster, name: str) -> str:
    """What a registry would do: the image has a name with its digest, so that nothing is pulled."""
    local = f"docker.io/{_local(name)}"
    digest = next(line.split()[2] for line in cluster.ctr("images", "ls", f"name=={local}").splitlines()[1:])
    cluster.ctr("images", "tag", "--force", local, pinned(name, digest))
    return digest


def pinned(name: str, digest: str) -> str:
    """The name by which pods ask for an image."""
    public = f"docker.io/{_PUBLISHED[name]}" if name in _PUBLISHED else f"{REGISTRY}/{name.partition(':')[0]}"
    return f"{public}@{digest}"


def _local(name: str) -> str:
    return f"rag-test/{name}" if ":" in name else f"rag-test/{name}:local"
