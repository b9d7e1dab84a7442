"""Altered copies of a labelled set: other queries or other documents."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rag_core.answering.evaluation import Dataset
from rag_core.retrieval.search import encode_documents, encode_query

Altered = Iterator[tuple[str, Dataset]]
_SEED = 5
_CODED = 150
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s*")
_WORD = re.compile(r"[^\W\d_]{5,}")


def other_queries(dataset: Dataset, keywords: Mapping[str, str]) -> Altered:
    """The set with other queries, and what they are; `keywords` by query."""
    if keywords:
        yield "answers as queries", _asking(dataset, keywords)
    yield "three queries in one", _asking(dataset, _in_threes(dataset))
    for count in (1, 3):
        words = _rarest(dataset, count)
        if words:
            yield f"rarest words, {count}", _asking(dataset, words)
    misspelled = {key: _WORD.sub(_swapped, text) for key, text in dataset.queries.items()}
    if misspelled != dataset.queries:
        yield "misspelled", _asking(dataset, misspelled)


def other_documents(dataset: Dataset) -> Altered:
    """The set with other documents, and what they are."""
    if all(one.title for one in dataset.documents[:10]):
        yield "titles only", replace(dataset, documents=tuple(replace(one, text="") for one in dataset.documents))
    shortened = tuple(replace(one, text=_sentences(one.text)[0]) for one in dataset.documents)
    yield "first sentences", replace(dataset, documents=shortened)
    yield "near-duplicates", _duplicated(dataset)
    yield "codes", _coded(dataset)


def _asking(dataset: Dataset, queries: Mapping[str, str]) -> Dataset:
    return replace(dataset, queries={key: queries[key] for key in dataset.queries if queries.get(key, "").strip()})


def answers(folder: Path) -> dict[str, str]:
    """First answer of each query of a set, where its files have any."""
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text("utf-8").splitlines() if line.strip()]
    return {str(row["_id"]): row["answers"][0] for row in rows if row.get("answers")}


def _in_threes(dataset: Dataset) -> dict[str, str]:
    """Each query with up to two more about the same documents."""
    about: dict[str, list[str]] = {}
    for key, text in dataset.queries.items():
        about.setdefault(min(dataset.judgements[key]), []).append(text)
    return {key: " ".join(_three(text, about[min(dataset.judgements[key])])) for key, text in dataset.queries.items()}


def _three(first: str, texts: list[str]) -> list[str]:
    return [first, *(text for text in texts if text != first)][:3]


def _rarest(dataset: Dataset, count: int) -> dict[str, str]:
    """The words of each query that the fewest documents have, among those that some have."""
    held = Counter(term for sparse in encode_documents(_texts(dataset)) for term in set(sparse.indices))

    def rarity(word: str) -> int:
        return min((held[term] for term in encode_query(word).indices if held[term]), default=0)

    found = {}
    for key, text in dataset.queries.items():
        words = [word for word in dict.fromkeys(re.findall(r"[^\W_]+", text)) if word.isascii() and rarity(word)]
        found[key] = " ".join(sorted(words, key=rarity)[:count])
    return found


def _swapped(match: re.Match[str]) -> str:
    """A word with two letters in the wrong order, every other time."""
    word = match.group()
    draw = random.Random(f"{_SEED}{word}")
    place = draw.randrange(1, len(word) - 2)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :] if draw.random() < 0.5 else word


def _duplicated(dataset: Dataset) -> Dataset:
    """Each document three times: as it is, without its first sentence, and with its last sentence first."""
    documents, copies = [], {}
    for one in dataset.documents:
        first, *rest = _sentences(one.text)
        texts = [one.text, " ".join(rest) or first, " ".join([*rest[-1:], first, *rest[:-1]])]
        made = [replace(one, id=f"{one.id}/{number}", text=text) for number, text in enumerate(texts)]
        documents += made
        copies[one.id] = [copy.id for copy in made]
    judgements = {
        key: {copy: gain for name, gain in gains.items() for copy in copies.get(name, [])}
        for key, gains in dataset.judgements.items()
    }
    return replace(dataset, documents=tuple(documents), judgements=judgements)


def _coded(dataset: Dataset) -> Dataset:
    """Part numbers that only one document has, asked for alone and in a sentence."""
    draw = random.Random(_SEED)
    documents, queries, judgements = list(dataset.documents), {}, {}
    for place in draw.sample(range(len(documents)), min(_CODED, len(documents))):
        one = documents[place]
        code = f"{draw.choice('ABKQX')}{draw.choice('CMTVZ')}-{draw.randrange(1000, 9999)}-{draw.choice('DFHL')}"
        documents[place] = replace(one, text=f"{one.text} {code}")
        for number, text in enumerate((code, f"where is {code} described")):
            queries[f"{one.id}/{number}"], judgements[f"{one.id}/{number}"] = text, {one.id: 1}
    return Dataset(dataset.name, tuple(documents), queries, judgements)


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text) if part] or [text]


def _texts(dataset: Dataset) -> list[str]:
    return [f"{one.title}\n\n{one.text}".strip() for one in dataset.documents]
