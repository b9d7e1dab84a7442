"""The peers of the query benchmark, and what the platform is to reach beside each of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import processes
from benchmarks.own_text import open_embedder
from benchmarks.peers.install import ensure_peer
from benchmarks.ports import free_port
from benchmarks.query.corpus import chunk_texts
from benchmarks.query.load import Outcome
from benchmarks.query.systems import System, over_http
from benchmarks.report import Target
from benchmarks.timing import median
from benchmarks.vectors import text_vectors
from rag_core.content.embedding import Vectors
from rag_core.settings import Settings

_WEB = ("fastapi==0.165.0", "uvicorn==0.54.0")
_TRIAL_CHUNKS = 64
IN_FLIGHT = 8
"""Calls in flight at which the peers are compared."""
HYBRID, DENSE = "through the gateway", "through the gateway, dense only"


@dataclass(frozen=True, slots=True)
class Peer:
    """A service of `benchmarks.peers`, its packages, and the least rate of ours as a multiple of its own."""

    name: str
    module: str
    environment: str
    packages: tuple[str, ...]
    targets: Mapping[str, float]
    options: Mapping[str, object] = field(default_factory=dict)


_CHROMA = ("chromadb==1.5.9", *_WEB)
_LANCE = ("lancedb==0.40.0", "pyarrow==26.0.1", *_WEB)
PEERS = (
    Peer("FastAPI + Chroma, dense only", "chroma_service", "chroma", _CHROMA, {HYBRID: 1.0, DENSE: 1.2}),
    Peer("the same with a tenant and ACL filter", "chroma_service", "chroma", _CHROMA, {HYBRID: 10.0}, {"filtered": 1}),
    Peer("FastAPI + LanceDB, hybrid, tenant and ACL filter", "lance_service", "lance", _LANCE, {HYBRID: 1.5}),
)


def install(settings: Settings) -> dict[str, Path]:
    """The Python of each environment, made when it is absent. Raises `Unavailable` (`START_FAILED`).

    Each peer has answered a question over a few chunks then: one that cannot run fails before an index is built for it.
    """
    packages = {peer.environment: peer.packages for peer in PEERS}
    pythons = {name: ensure_peer(settings, name, wanted) for name, wanted in packages.items()}
    with TemporaryDirectory(prefix="peers-", dir=settings.home.resolve() / "bench") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "models").symlink_to(settings.model_dir.resolve())
        with closing(open_embedder(settings)) as embedder:
            texts = chunk_texts(_TRIAL_CHUNKS)
            vectors = text_vectors(texts, embedder, settings.home / "bench" / "vectors")
            write_corpus(folder, texts, vectors, vectors[:1])
        for _, system, _ in start(stack, pythons, settings, folder):
            asyncio.run(_ask(system))
    return pythons


async def _ask(system: System) -> None:
    async with system() as call:
        await call("Which peer answers?")


def write_corpus(folder: Path, texts: list[str], vectors: Vectors, asked: Vectors) -> None:
    """The files that `start` gives to the peers; `asked` are vectors of questions that they are set up by."""
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "asked.npy", asked)
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")


def start(
    stack: ExitStack, pythons: Mapping[str, Path], settings: Settings, home: Path
) -> Iterator[tuple[str, System, System]]:
    """Start every peer on the vectors and texts in `home`; gives its name, itself and its dense leg alone."""
    for number, peer in enumerate(PEERS):
        arguments = {
            "home": home,
            "state": home / f"peer-{number}",
            "vectors": home / "vectors.npy",
            "texts": home / "texts.json",
            "asked": home / "asked.npy",
            "embedder": settings.embedder,
        }
        service = processes.peer_service(
            peer.module, pythons[peer.environment], arguments | dict(peer.options), home, free_port()
        )
        url = stack.enter_context(service)
        yield peer.name, over_http(url), over_http(url, dense=True)


def targets(closed: Mapping[tuple[str, int], list[Outcome]]) -> Iterator[Target]:
    """Ours against each peer, at `IN_FLIGHT` calls in flight or the number next to it."""
    counts = {count for _, count in closed}
    count = min(counts, key=lambda one: abs(one - IN_FLIGHT))
    rates = {
        name: median([outcome.rate for outcome in outcomes]) for (name, at), outcomes in closed.items() if at == count
    }
    for peer in PEERS:
        for ours, least in peer.targets.items():
            if rates.get(peer.name):
                what = f"{ours} / {peer.name}, {count} in flight"
                yield Target(what, rates[ours] / rates[peer.name], least, peer.name, at_least=True)
