"""Recall of a system's dense leg: how many of the ten nearest chunks, by exact search, are among its ten hits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np

from benchmarks.query.load import questions
from benchmarks.query.systems import TOP_K, System
from rag_core.content.embedding import Embedder, Vectors

QUESTIONS = 300
Nearest = Mapping[str, frozenset[str]]
"""The texts of the `TOP_K` nearest chunks of each question."""


def exact_nearest(embedder: Embedder, texts: Sequence[str], vectors: Vectors, asked: list[str]) -> Nearest:
    """Compare questions with every vector."""
    some = list(islice(questions(asked, 800_000_000), QUESTIONS))
    found = {}
    for question, vector in zip(some, embedder.embed_queries(some), strict=True):
        nearest = np.argsort(-(vectors @ vector))[:TOP_K]
        found[question] = frozenset(texts[row] for row in nearest)
    return found


async def recalls(systems: Mapping[str, System], nearest: Nearest) -> dict[str, float]:
    """Ask every system every question, one after the other."""
    found = {}
    for name, system in systems.items():
        async with system() as call:
            found[name] = share_of([await call(question) for question in nearest], nearest.values())
    return found


def share_of(found: Iterable[Sequence[str]], nearest: Iterable[frozenset[str]]) -> float:
    """The mean share of the nearest texts that were found."""
    return float(
        np.mean([len(exact.intersection(hits)) / len(exact) for hits, exact in zip(found, nearest, strict=True)])
    )
