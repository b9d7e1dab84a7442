"""Questions with a way to tell whether a text answers them: from labelled sets, and from question files."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.answers.corpus import Corpus
from rag_core.answering import Question
from rag_core.answering.evaluation import Dataset
from rag_core.answering.evaluation.questions import EvaluationQuestion, load_questions
from rag_core.content.documents import Condition, In, Not


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and whom to ask. `holds` judges a text; `None`: the corpus has no answer.

    `source` is a part of the place that has the answer, `prose` a text without headings.
    """

    text: str
    kind: str
    corpus: Corpus
    holds: Callable[[str], bool] | None
    sources: tuple[str, ...] = ()
    condition: Condition | None = None
    prose: bool = False

    def question(self) -> Question:
        """The question as an answerer is given it."""
        return self.corpus.ask(self.text, self.condition)


def from_file(path: Path, corpora: dict[str, Corpus]) -> list[Asked]:
    """The questions of a file, each asked of every corpus: of the one that its tags name as written, of the others as
    one that they do not answer."""
    return [
        Asked(one.text, _kind(one), corpus, _held(one) if name in one.tags and one.answerable else None, one.sources)
        for one in load_questions(path)
        for name, corpus in corpora.items()
    ]


def from_dataset(dataset: Dataset, gold: dict[str, list[str]], corpus: Corpus) -> list[Asked]:
    """The questions of a labelled set: with the document that answers, and without it."""
    asked = []
    for query, text in dataset.queries.items():
        gone = Not(In("locator", tuple(dataset.judgements[query])))
        asked += [
            Asked(text, dataset.name, corpus, _held_text(gold[query]), prose=True),
            Asked(text, dataset.name, corpus, None, condition=gone, prose=True),
        ]
    return asked


def answers_of(data: Path, dataset: Dataset) -> dict[str, list[str]]:
    """The gold answers of a set by query id; empty when it has none."""
    return {query: answers for query, answers in _rows(data, dataset.name) if answers}


def holds(text: str, answers: Sequence[str]) -> bool:
    """Whether a text has one of the answers; case and white space do not count."""
    folded = _folded(text)
    return any(_folded(answer) in folded for answer in answers)


def _held(one: EvaluationQuestion) -> Callable[[str], bool]:
    return one.is_held_by


def _held_text(answers: Sequence[str]) -> Callable[[str], bool]:
    return lambda text: holds(text, answers)


def _kind(one: EvaluationQuestion) -> str:
    return one.tags[-1] if one.tags else ""


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def _rows(data: Path, name: str) -> Iterator[tuple[str, list[str]]]:
    folder = data if data.name == name else data / name
    with (folder / "queries.jsonl").open(encoding="utf-8") as file:
        for line in filter(str.strip, file):
            row = json.loads(line)
            yield str(row["_id"]), row.get("answers") or []
