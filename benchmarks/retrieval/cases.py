"""Further labelled sets made from given ones, to find where a fusion rule breaks: sizes, scripts, languages, queries.

Each keeps the family of the texts it was made from, so that a choice can be tested on families it has not seen. What is
drawn is drawn with a fixed seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from opencc import OpenCC

from benchmarks.retrieval import alterations
from rag_core.answering.evaluation import Dataset
from rag_core.answering.evaluation.dataset import Document

MOST_QUERIES = 300
MOST_DOCUMENTS = 160
"""Of a set whose documents are altered: each must be embedded again."""
SIZES = (15, 40, 120)
"""Documents of the small corpora."""
_DRAWS = 4
_SEED = 11
_HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True, slots=True)
class Case:
    """Sets that are scored together, each with its own corpus. `kind` says what was changed about them."""

    name: str
    kind: str
    family: str
    parts: tuple[Dataset, ...]


def cases(datasets: list[Dataset], folder: Path) -> Iterator[Case]:
    """Every case. `folder` holds the sets' files, whose queries may have answers."""
    for held, asked in _pairs(datasets):
        whole = replace(held, queries=asked.queries)
        name, family = held.name if held is asked else f"{asked.name} on {held.name}", _family(held.name)
        language = "same" if _language(held) == _language(asked) else "cross"
        yield Case(name, f"{language}: whole", family, (_fewer(whole),))
        for size in SIZES:
            yield Case(name, f"{language}: {size} documents", family, tuple(_small(whole, size)))
        if held.name.endswith(_TRADITIONAL) and asked.name.endswith(_TRADITIONAL):
            continue
        answers = alterations.answers(folder / asked.name.removesuffix(_TRADITIONAL))
        for how, changed in alterations.other_queries(_fewer(whole), answers):
            yield Case(name, f"{language}: {how}", family, (changed,))
        for how, changed in alterations.other_documents(next(_small(whole, MOST_DOCUMENTS))):
            yield Case(name, f"{language}: {how}", family, (changed,))
    yield from _mixed(datasets)


_TRADITIONAL = "-traditional"


def _pairs(datasets: list[Dataset]) -> Iterator[tuple[Dataset, Dataset]]:
    """Sets with their own queries and with the queries of their translations; Chinese ones in both scripts."""
    both = [*datasets, *(_traditional(one) for one in datasets if _language(one) == "zh")]
    return ((held, asked) for held in both for asked in both if held.queries.keys() == asked.queries.keys())


def _family(name: str) -> str:
    return name.partition("-")[0]


def _language(dataset: Dataset) -> str:
    return "zh" if _HAN.search(dataset.documents[0].text) else "en"


def _traditional(dataset: Dataset) -> Dataset:
    convert = OpenCC("s2t").convert
    documents = tuple(Document(one.id, convert(one.title), convert(one.text)) for one in dataset.documents)
    kept = _fewer(dataset).queries
    queries = {key: convert(text) if key in kept else text for key, text in dataset.queries.items()}
    return replace(dataset, name=dataset.name + _TRADITIONAL, documents=documents, queries=queries)


def _fewer(dataset: Dataset) -> Dataset:
    keys = list(dataset.queries)
    kept = set(random.Random(_SEED).sample(keys, min(MOST_QUERIES, len(keys))))
    return replace(dataset, queries={key: text for key, text in dataset.queries.items() if key in kept})


def _small(dataset: Dataset, size: int) -> Iterator[Dataset]:
    for draw in range(_DRAWS):
        drawn = random.Random(_SEED + draw).sample(dataset.documents, min(size, len(dataset.documents)))
        part = _among(dataset, {one.id for one in drawn})
        if part.queries:
            yield _fewer(part)


def _among(dataset: Dataset, kept: set[str]) -> Dataset:
    """The set with some of its documents, and the queries that ask for one of them."""
    judgements = {
        key: {name: gain for name, gain in dataset.judgements[key].items() if name in kept} for key in dataset.queries
    }
    queries = {key: text for key, text in dataset.queries.items() if judgements[key]}
    return Dataset(dataset.name, tuple(one for one in dataset.documents if one.id in kept), queries, judgements)


def _mixed(datasets: list[Dataset]) -> Iterator[Case]:
    """Corpora in two languages: translations side by side, each document in one of them, and strangers."""
    for held in datasets:
        for other in datasets:
            if held is other or _language(held) == _language(other):
                continue
            asked, family = _fewer(held), _family(held.name)
            if held.queries.keys() == other.queries.keys():
                yield Case(held.name, "mixed: both languages of each", family, (_joined(asked, other, judged=True),))
                half = {one.id for one in held.documents[::2]}
                kept = tuple(a if a.id in half else b for a, b in zip(held.documents, other.documents, strict=True))
                yield Case(held.name, "mixed: one language of each", family, (replace(asked, documents=kept),))
            else:
                yield Case(held.name, f"mixed: beside {other.name}", family, (_joined(asked, other, judged=False),))


def _joined(asked: Dataset, other: Dataset, *, judged: bool) -> Dataset:
    beside = tuple(replace(one, id=f"other/{one.id}") for one in other.documents)
    judgements = asked.judgements
    if judged:
        judgements = {
            key: gains | {f"other/{name}": gain for name, gain in gains.items()} for key, gains in judgements.items()
        }
    return replace(asked, documents=asked.documents + beside, judgements=judgements)
