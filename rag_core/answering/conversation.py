"""Follow-up questions: what "How long is it?" is about, by the words of the questions before it. No model needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from rag_core.answering.base import Message, Role, StandaloneBy, StandaloneQuestion
from rag_core.answering.evidence import is_chinese
from rag_core.answering.extractive import content_words, share_of_words

MAX_CARRIED_WORDS: Final = 10
MAX_CARRIED_CHARS: Final = 300
_POINTS_BACK: Final = re.compile(r"\b(?:it|its|it's|they|them|their|theirs|he|she|him|her)\b", re.IGNORECASE)
_MAY_POINT: Final = re.compile(r"\b(?:this|that|these|those|there|here|one|ones|same|former|latter)\b", re.IGNORECASE)
_CONTINUES: Final = re.compile(
    r"^\W{0,8}(?:and|but|or|so|then|also|otherwise|what about|how about|what if|why not|why)\b", re.IGNORECASE
)
_DEFINES: Final = re.compile(
    r"^\W{0,8}(?:what(?:'s| is| are)|define|explain)\s+(?!the\b|my\b|your\b|there\b)\w"
    r"|^\W{0,8}(?:什么是|什麼是|何为|何谓)",
    re.IGNORECASE,
)
"""Asks for a thing by its name: "What is a chunk?". What has an article ("What is the default?") may be of another."""
_SHORT: Final = 2
"""Content words up to which "this" and "there" are taken to point back: in longer questions they rarely do."""
_POINTS_BACK_ZH: Final = re.compile(r"它|他们|她们|这个|那个|这些|那些|上述|前者|后者|這個|那個|這些|他們")
_SWITCHES_ZH: Final = re.compile(r"^\W{0,4}(?:那么?|还有|另外|還有)|呢\W{0,4}$")
_OF_ANOTHER: Final = re.compile(r"^(?:the|this|that|these|those|my|your)\b", re.IGNORECASE)
"""Begins what is a part of something: "And the default?"."""
_SHORT_ZH: Final = 4
"""Characters up to which a Chinese question is too short to name what it is about."""
_MAY_CONTINUE: Final = 5
"""Content words up to which a question may leave out what it is about, without a sign of it."""
_MAY_CONTINUE_ZH: Final = 12
"""The same in characters of a Chinese question."""
_SPOKEN_OF: Final = 0.5
"""Share of a question's words in an answer, from which that is still about it."""
_CORRECTS: Final = re.compile(
    r"^\W{0,8}(?:(?:no|nope|oh|wait|well|sorry|actually)\b\W{1,4}){0,3}(?:i\s(?:meant|mean|was asking about)\b\W{0,4})"
    r"|^\W{0,8}(?:sorry|actually)\b\W{1,4}"
    r"|^\W{0,4}(?:不是?|不对|抱歉|对不起)?\W{0,4}我(?:是)?(?:说|指|问)(?:的是?)?\W{0,4}",
    re.IGNORECASE,
)
"""Words that introduce a correction and say nothing of their own: "No, I meant …"."""
_CORRECTED: Final = 3
"""Content words up to which what follows it replaces a word of the question before, and is no question itself."""
_ASKS: Final = re.compile(
    r"^(?:who|whom|whose|what|when|where|which|why|how|do|does|did|is|are|can|may)\b", re.IGNORECASE
)
_LETTERS: Final = re.compile(r"\w")
_EDGES: Final = " \t\n?!.,;:()[]\"'“”‘’？！。，；：（）「」"


def carry_over(question: str, earlier: Sequence[Message]) -> StandaloneQuestion:
    """The question with the words of the questions that it continues or corrects; as asked when it does neither.

    A short question without a sign of either keeps both readings: as asked, and `perhaps` with these words.
    Deterministic.
    """
    asked = _CORRECTS.sub("", question, count=1) or question
    corrects = asked != question and not _ASKS.match(asked) and len(content_words(asked)) <= _CORRECTED
    joined = _joined(asked, _carried(earlier))
    if corrects or _continues(asked):
        return _standalone(joined, question)
    if asked == question != joined and _may_continue(question):
        return StandaloneQuestion(question, perhaps=joined)
    return _standalone(asked, question)


def last_answer(earlier: Sequence[Message]) -> str:
    """Return the last answer of a conversation; empty without one."""
    return next((message.text for message in reversed(earlier) if message.role is Role.ASSISTANT), "")


def _carried(earlier: Sequence[Message]) -> list[str]:
    """Walk back over earlier follow-ups to the question that named the subject.

    A question that may continue another does when the last answer still speaks of that one.
    """
    answer = last_answer(earlier)
    carried: list[str] = []
    newer = ""
    for text in (message.text for message in reversed(earlier) if message.role is Role.USER):
        still = _may_continue(newer) and share_of_words(text, answer) >= _SPOKEN_OF
        if newer and not (_continues(newer) or still):
            break
        carried, newer = [*_words(text), *carried], text
    return carried


def new_subject(question: str) -> str:
    """Return what a follow-up names instead of the subject before it: "sick leave" of "And sick leave?", "病假" of
    "那病假呢？"; empty when it points back."""
    asked = _CORRECTS.sub("", question, count=1)
    if is_chinese(question):
        named = _SWITCHES_ZH.sub("", asked).strip(_EDGES)
        return "" if named == question.strip(_EDGES) or _POINTS_BACK_ZH.search(question) else named
    named = _CONTINUES.sub("", asked, count=1).strip(_EDGES)
    switches = named != question.strip(_EDGES) and content_words(named) and not _ASKS.match(named)
    return named if switches and not _POINTS_BACK.search(named) and not _OF_ANOTHER.search(named) else ""


def _standalone(text: str, question: str) -> StandaloneQuestion:
    return StandaloneQuestion(text, StandaloneBy.WORDS if text != question else StandaloneBy.ASKED)


def _continues(question: str) -> bool:
    """Return whether a question depends on the one before it."""
    if is_chinese(question):
        short = len(_LETTERS.findall(question)) <= _SHORT_ZH and not _DEFINES.search(question)
        return short or bool(_POINTS_BACK_ZH.search(question) or _SWITCHES_ZH.search(question))
    words = content_words(question)
    if _POINTS_BACK.search(question) or not words:
        return True
    if len(words) == 1 and not (_DEFINES.search(question) and not _MAY_POINT.search(question)):
        return True
    return len(words) <= _SHORT and bool(_CONTINUES.search(question) or _MAY_POINT.search(question))


def _may_continue(question: str) -> bool:
    if is_chinese(question):
        return len(_LETTERS.findall(question)) <= _MAY_CONTINUE_ZH
    return len(content_words(question)) <= _MAY_CONTINUE


def _words(question: str) -> list[str]:
    """The words of a question that name something, as they were written; a Chinese one as a whole."""
    if is_chinese(question):
        return [question.strip(_EDGES)]
    return [word.strip(_EDGES) for word in question.split() if content_words(word)]


def _joined(question: str, carried: Sequence[str]) -> str:
    said = question.casefold()
    added = [word for word in dict.fromkeys(carried) if word and word.casefold() not in said][:MAX_CARRIED_WORDS]
    if not added:
        return question
    words = " ".join(added)[:MAX_CARRIED_CHARS]
    return f"{question}（{words}）" if is_chinese(question) else f"{question} ({words})"
