"""Questions with what a right answer holds, as the owners of a corpus write them (docs/how-to/evaluate-answers.md)."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from rag_core.errors import InvalidInput, Reason

UNANSWERABLE = "unanswerable"
"""The tag of a question that the corpus does not answer."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


OneOrMore = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Entry(BaseModel):
    """A question as the file has it."""

    model_config = ConfigDict(extra="forbid", strict=False)

    question: str = Field(min_length=1, max_length=8192)
    expected: OneOrMore = ()
    pattern: OneOrMore = ()
    source: OneOrMore = ()
    tags: OneOrMore = ()


@dataclass(frozen=True, slots=True)
class EvaluationQuestion:
    """A question, the texts and patterns that all stand in a right answer, and parts of the places where it is.

    `sources` are parts of `source/locator`. Without texts and patterns only retrieval is measured.
    """

    text: str
    expected: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    sources: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def answerable(self) -> bool:
        return UNANSWERABLE not in self.tags

    def is_held_by(self, text: str) -> bool:
        """Whether a text has all that is expected; case and white space do not count, except to patterns."""
        folded = _folded(text)
        return all(_folded(one) in folded for one in self.expected) and all(one.search(text) for one in self.patterns)

    def label(self, place: str) -> str:
        """The first of the sources that a place belongs to, else the place itself."""
        return next((source for source in self.sources if source in place), place)


def load_questions(path: Path, tags: Iterable[str] = ()) -> list[EvaluationQuestion]:
    """The questions that have all the tags. YAML is a list or has it under `questions`; JSONL has one in each line.

    Raises `InvalidInput` (`QUESTIONS_INVALID`).
    """
    wanted = set(tags)
    try:
        rows = _rows(path)
        entries = TypeAdapter(list[Entry]).validate_python(rows)
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(f"{path.name}: cannot be read ({type(error).__name__})") from None
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        raise _invalid(f"{path.name}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][1:]))
        number = first["loc"][0] + 1 if first["loc"] and isinstance(first["loc"][0], int) else 0
        raise _invalid(f"{path.name}: question {number}: {where}: {first['msg']}") from None
    questions = [_question(path.name, number, entry) for number, entry in enumerate(entries, 1)]
    _check_unique(path.name, questions)
    chosen = [question for question in questions if wanted <= set(question.tags)]
    if not chosen:
        raise _invalid(f"{path.name}: no question{' has all these tags' if wanted else ''}")
    return chosen


def _rows(path: Path) -> Any:
    text = path.read_text("utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    loaded = yaml.safe_load(text)
    return loaded.get("questions") if isinstance(loaded, dict) else loaded


def _question(file: str, number: int, entry: Entry) -> EvaluationQuestion:
    try:
        patterns = tuple(map(re.compile, entry.pattern))
    except re.error as error:
        raise _invalid(f"{file}: question {number}: pattern: {error}") from None
    sources = tuple(filter(None, entry.source))
    expects, unanswerable = bool(entry.expected or entry.pattern), UNANSWERABLE in entry.tags
    if (expects and unanswerable) or not (expects or unanswerable or sources):
        raise _invalid(f"{file}: question {number}: needs expected, pattern or source, or else the tag {UNANSWERABLE}")
    return EvaluationQuestion(entry.question, entry.expected, patterns, sources, entry.tags)


def _check_unique(file: str, questions: Iterable[EvaluationQuestion]) -> None:
    seen: set[str] = set()
    for question in questions:
        if question.text in seen:
            raise _invalid(f"{file}: asked twice: {question.text}")
        seen.add(question.text)


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(Reason.QUESTIONS_INVALID, message)
