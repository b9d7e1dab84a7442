"""Curations, and which of them count for a caller and a question.

A question is one that an editor named when its words are the same, or when it means the same: by the model that
embeds, and with the same numbers and kind of question.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from rag_core.errors import InvalidInput, Reason
from rag_core.governance.access import EVERYONE, admits, is_acl_entry

MAX_QUESTIONS: Final = 20
MAX_QUESTION_CHARS: Final = 500
MAX_ANSWER_CHARS: Final = 8000
MAX_ACL: Final = 100
MAX_OWNER_CHARS: Final = 256
MAX_PER_TENANT: Final = 500
_NOT_WORDS: Final = re.compile(r"[\W_]+")
_SAME: Final = 2.0
"""Similarity of a wording with the same words, above any cosine."""


class CurationAction(StrEnum):
    """The effect of a curation on its question."""

    ANSWER = "answer"
    """Its written answer is given."""
    PIN = "pin"
    """Its document is first."""
    BOOST = "boost"
    """Its document is preferred to others that are as relevant."""
    HIDE = "hide"
    """Its document is left out."""


@dataclass(frozen=True, slots=True)
class CurationDraft:
    """A curation as an editor wants it. `doc_id` is for every action but `ANSWER`, which has `answer`."""

    questions: tuple[str, ...]
    action: CurationAction
    answer: str = ""
    doc_id: uuid.UUID | None = None
    acl: tuple[str, ...] = ()
    owner: str = ""
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Curation:
    """A stored curation. `source` and `locator` are of its document while that exists."""

    id: int
    tenant: str
    questions: tuple[str, ...]
    action: CurationAction
    answer: str
    doc_id: uuid.UUID | None
    acl: tuple[str, ...]
    owner: str
    ends_at: datetime | None
    changed_by: str
    changed_at: datetime
    source: str = ""
    locator: str = ""

    def counts_for(self, entries: Collection[str], now: datetime) -> bool:
        """Return whether it counts for a caller with these ACL entries."""
        return (self.ends_at is None or now < self.ends_at) and admits(self.acl, entries)


@dataclass(frozen=True, slots=True)
class Applied:
    """A curation that counts for a question, with the wording of it that is meant."""

    curation: Curation
    question: str


def check_draft(draft: CurationDraft, *, editor: str) -> CurationDraft:
    """Return a draft with its defaults: for everyone, and owned by its editor. Raises `InvalidInput`."""
    questions = tuple(dict.fromkeys(one.strip() for one in draft.questions if one.strip()))
    _check_sizes("questions", questions, MAX_QUESTIONS, MAX_QUESTION_CHARS, least=1)
    if not all(map(words_of, questions)):
        raise _invalid("questions: each needs a word")
    _check_sizes("acl", draft.acl, MAX_ACL, MAX_OWNER_CHARS + 16)
    unknown = next((entry for entry in draft.acl if not is_acl_entry(entry)), None)
    if unknown is not None:
        raise _invalid(f"acl: {unknown[:64]!r} is no entry such as everyone, user:ann or group:hr")
    _check_sizes("owner", (draft.owner,), 1, MAX_OWNER_CHARS)
    _check_sizes("answer", (draft.answer,), 1, MAX_ANSWER_CHARS)
    writes = draft.action is CurationAction.ANSWER
    if writes != bool(draft.answer.strip()) or writes == (draft.doc_id is not None):
        raise _invalid("action: answer needs a text in `answer`; pin, boost and hide need a document in `doc_id`")
    if draft.ends_at is not None and draft.ends_at <= datetime.now(UTC):
        raise _invalid("ends_at: must lie in the future")
    return CurationDraft(
        questions, draft.action, draft.answer.strip(), draft.doc_id, draft.acl or (EVERYONE,),
        draft.owner.strip() or editor, draft.ends_at,
    )  # fmt: skip


def _check_sizes(field: str, values: Sequence[str], most: int, chars: int, *, least: int = 0) -> None:
    if not least <= len(values) <= most or any(len(one) > chars or "\0" in one for one in values):
        raise _invalid(f"{field}: {f'{least} to {most} texts' if most > 1 else 'a text'} of at most {chars} characters")


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(Reason.FIELD_INVALID, message)


def words_of(question: str) -> str:
    """The words of a question, by which it is the same as another."""
    return _NOT_WORDS.sub(" ", question.casefold()).strip()


_NUMBERS: Final = re.compile(r"\d+(?:[.,]\d+)*")
_KINDS: Final = {
    "person": re.compile(r"^(who|whose|whom)\b|谁"),
    "time": re.compile(r"^when\b|何时|什么时候|几点"),
    "place": re.compile(r"^where\b|哪里|哪儿|在哪"),
    "amount": re.compile(r"\bhow (long|many|much|often|far|old|big)\b|多少|多久|几天|几次"),
    "yes or no": re.compile(r"^(is|are|am|was|were|do|does|did|can|could|may|must|should|will|has|have)\b|吗$"),
}
"""The kind of answer a question asks for, where its words say it."""


def ask_for_the_same(one: str, other: str) -> bool:
    """Return whether two questions have the same numbers and do not ask for different things, such as who and when.

    A model of meaning takes "Who approves parental leave?" for "How long is parental leave?".
    """
    if set(_NUMBERS.findall(one)) != set(_NUMBERS.findall(other)):
        return False
    kinds = [{kind for kind, named in _KINDS.items() if named.search(words_of(text))} for text in (one, other)]
    return not all(kinds) or not kinds[0].isdisjoint(kinds[1])


class PhrasedCurations:
    """The curations of one tenant by the wordings of their questions."""

    def __init__(self, curations: Iterable[Curation]) -> None:
        self._phrased = [(one, question) for one in curations for question in one.questions]
        self._words = [words_of(question) for _, question in self._phrased]
        self.wordings = tuple(question for _, question in self._phrased)

    def find(self, text: str, entries: Collection[str], alike: Mapping[int, float]) -> tuple[Applied, ...]:
        """Return what counts for a caller and a question, the nearest wording first.

        `alike` are the similarities of the wordings, by number, that mean the same to a model.
        """
        now, own = datetime.now(UTC), words_of(text)
        near = {at: score for at, score in alike.items() if ask_for_the_same(text, self.wordings[at])}
        near |= dict.fromkeys((at for at, words in enumerate(self._words) if words == own), _SAME)
        found: dict[int, Applied] = {}
        for at in sorted(near, key=lambda at: (-near[at], at)):
            curation, question = self._phrased[at]
            if curation.counts_for(entries, now):
                found.setdefault(curation.id, Applied(curation, question))
        return tuple(found.values())
