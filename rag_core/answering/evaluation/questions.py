"""Questions with what a right answer holds, as the owners of a corpus write them (docs/how-to/evaluate-answers.md)."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import re2
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from rag_core.errors import InvalidInput, Reason

UNANSWERABLE = "unanswerable"
"""The tag of a question that the corpus does not answer."""
MAX_FILE_BYTES = 16_000_000
MAX_PATTERN_MEMORY = 1 << 20
"""Bytes that one compiled pattern may take."""
SUFFIXES = (".jsonl", ".yaml", ".yml")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Short = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
OneOrMore = Annotated[tuple[Short, ...], BeforeValidator(_listed), Field(max_length=20)]


class Entry(BaseModel):
    """A question as the file has it."""

    model_config = ConfigDict(extra="forbid", strict=False)

    question: str = Field(min_length=1, max_length=8192)
    id: str = Field("", max_length=128)
    expected: OneOrMore = ()
    pattern: OneOrMore = ()
    source: OneOrMore = ()
    tags: OneOrMore = ()


class Pattern(Protocol):
    """A compiled RE2 pattern: its time is linear in the text, whatever was written."""

    @property
    def pattern(self) -> str: ...

    def search(self, text: str, /) -> object | None: ...


@dataclass(frozen=True, slots=True)
class EvaluationQuestion:
    """A question, the texts and patterns that all stand in a right answer, and parts of the places where it is.

    `sources` are parts of `source/locator`. Without texts and patterns only retrieval is measured. `id` names the
    question in every run; unless one is given it is the text.
    """

    text: str
    expected: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    id: str = ""

    @property
    def key(self) -> str:
        return self.id or self.text

    @property
    def answerable(self) -> bool:
        return UNANSWERABLE not in self.tags

    def is_held_by(self, text: str) -> bool:
        """Return whether a text has all that is expected; case and white space do not count, except to patterns."""
        folded = _folded(text)
        return all(_folded(one) in folded for one in self.expected) and all(one.search(text) for one in self.patterns)

    def label(self, place: str) -> str:
        """The first of the sources that a place belongs to, else the place itself."""
        return next((source for source in self.sources if source in place), place)


def parse_question(
    text: str,
    *,
    expected: Iterable[str] = (),
    patterns: Iterable[str] = (),
    sources: Iterable[str] = (),
    tags: Iterable[str] = (),
    id: str = "",  # noqa: A002  its name in the file
) -> EvaluationQuestion:
    """A question from its parts. Raises `InvalidInput` (`QUESTIONS_INVALID`)."""
    parts = {"expected": [*expected], "pattern": [*patterns], "source": [*sources], "tags": [*tags]}
    return _question("", {"question": text, "id": id, **parts})


def load_questions(path: Path, tags: Iterable[str] = (), *, limit: int = 5000) -> list[EvaluationQuestion]:
    """The questions that have all the tags. YAML is a list or has it under `questions`; JSONL has one in each line.

    Raises `InvalidInput` (`QUESTIONS_INVALID`) that names the line.
    """
    wanted = set(tags)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _invalid(f"{path.name}: larger than {MAX_FILE_BYTES:,} bytes; split it")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _invalid(f"{path.name}: cannot be read ({type(error).__name__})") from None
    asked: dict[str, int] = {}
    questions: list[EvaluationQuestion] = []
    for line, row in _json_lines(path.name, text) if path.suffix == ".jsonl" else _yaml_rows(path.name, text):
        if len(questions) >= limit:
            message = f"{path.name}: line {line}: more than {limit:,} questions (RAG_EVALUATION_MAX_QUESTIONS)"
            raise _invalid(message)
        question = _question(f"{path.name}: line {line}: ", row)
        for known in {question.key, question.text}:
            if known in asked:
                raise _invalid(f"{path.name}: line {line}: is in line {asked[known]} already: {known[:200]}")
            asked[known] = line
        questions.append(question)
    chosen = [question for question in questions if wanted <= set(question.tags)]
    if not chosen:
        raise _invalid(f"{path.name}: no question{' has all these tags' if wanted else ''}")
    return chosen


def question_files(folder: Path, tenant: str, default_tenant: str = "default") -> list[Path]:
    """A tenant's files, sorted: those in the subfolder of its name, and for the default tenant those in the folder."""
    folders = [folder / tenant, *([folder] if tenant == default_tenant else [])]
    found = [path for place in folders if place.is_dir() for path in place.iterdir() if path.suffix in SUFFIXES]
    return sorted(path for path in found if path.is_file())


def tenants_with_files(folder: Path, default_tenant: str = "default") -> list[str]:
    """The tenants that have a file of questions."""
    if not folder.is_dir():
        return []
    names = {path.name for path in folder.iterdir() if path.is_dir()} | {default_tenant}
    return sorted(name for name in names if question_files(folder, name, default_tenant))


def _json_lines(name: str, text: str) -> Iterator[tuple[int, Any]]:
    for line, written in enumerate(text.split("\n"), 1):
        if written.strip():
            try:
                yield line, json.loads(written)
            except (json.JSONDecodeError, RecursionError) as error:
                raise _invalid(f"{name}: line {line}: {getattr(error, 'msg', 'nested too deeply')}") from None


def _yaml_rows(name: str, text: str) -> Iterator[tuple[int, Any]]:
    """Each question with the line that it begins in."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    line = 1
    try:
        node = loader.get_single_node()
        if isinstance(node, yaml.MappingNode):
            inner = [value for key, value in node.value if key.value == "questions"]
            node = inner[0] if inner else node
        if not isinstance(node, yaml.SequenceNode):
            raise _invalid(f"{name}: line 1: write a list, or a list under `questions`")
        for item in node.value:
            line = item.start_mark.line + 1
            yield line, loader.construct_document(item)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _invalid(f"{name}: line {mark.line + 1 if mark else 1}: {error.problem or 'malformed'}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _invalid(f"{name}: line {line}: {str(error)[:200] or type(error).__name__}") from None
    finally:
        loader.dispose()


def _question(where: str, row: Any) -> EvaluationQuestion:
    if not isinstance(row, dict):
        raise _invalid(f"{where}write a mapping with `question`")
    try:
        entry = Entry.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise _invalid(f"{where}{field}{': ' if field else ''}{first['msg']}") from None
    expects, unanswerable = bool(entry.expected or entry.pattern), UNANSWERABLE in entry.tags
    if (expects and unanswerable) or not (expects or unanswerable or entry.source):
        raise _invalid(f"{where}expected: give this, a pattern or a source, or else the tag {UNANSWERABLE}")
    patterns = tuple(_compiled(where, one) for one in entry.pattern)
    return EvaluationQuestion(entry.question, entry.expected, patterns, entry.source, entry.tags, entry.id)


def _compiled(where: str, pattern: str) -> Pattern:
    options = re2.Options()
    options.log_errors, options.max_mem = False, MAX_PATTERN_MEMORY
    try:
        compiled: Pattern = re2.compile(pattern, options=options)
    except re2.error as error:
        said = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise _invalid(f"{where}pattern: {said} (RE2 syntax: no look-around, no back-reference)") from None
    return compiled


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(Reason.QUESTIONS_INVALID, message)
