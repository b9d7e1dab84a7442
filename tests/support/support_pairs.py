"""True and false sentences about real passages, each with one change, made by rules that the check does not share."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from rag_core.answering.sentences import split_sentences

_DATA: Final = Path(__file__).parents[1] / "data"
PAIRS: Final = 200


@dataclass(frozen=True)
class Passage:
    """A text with its heading. `swap` are two roles or values of it."""

    language: str
    heading: str
    text: str
    swap: tuple[str, str] | None = None


@dataclass(frozen=True)
class Pair:
    """Two sentences about a passage, and how each was made."""

    passage: Passage
    true: str
    true_kind: str
    false: str
    false_kind: str


def _read(name: str) -> Any:
    return yaml.load((_DATA / name).read_text("utf-8"), yaml.CSafeLoader)


@cache
def _changes() -> dict[str, dict[str, list[tuple[str, str]]]]:
    return _read("support_changes.yaml")


def passages() -> list[Passage]:
    read = _read("support_passages.yaml")
    return [
        Passage(language, one["heading"], one["text"], tuple(one["swap"]) if "swap" in one else None)
        for language, those in read.items()
        for one in those
    ]


def pairs(given: list[Passage], count: int) -> list[Pair]:
    """So many pairs, the rarest kinds of change first, so that every kind is met."""
    made: dict[str, list[Pair]] = defaultdict(list)
    for passage in given:
        sentences = [passage.text[start:end] for start, end in split_sentences(passage.text)]
        for number, sentence in enumerate(sentences):
            trues = list(_true(passage, sentence, sentences[number + 1 : number + 2]))
            for turn, (kind, false) in enumerate(_false(passage, sentence)):
                true_kind, true = trues[(turn + number) % len(trues)]
                made[f"{kind} {passage.language}"].append(Pair(passage, true, true_kind, false, kind))
    chosen: list[Pair] = []
    while len(chosen) < count and any(made.values()):
        for kind in sorted(made):
            chosen += made[kind][:1]
            made[kind] = made[kind][1:]
    return chosen[:count]


def _false(passage: Passage, sentence: str) -> Iterator[tuple[str, str]]:
    if passage.swap and (swapped := _swapped(sentence, *passage.swap)) != sentence:
        yield "swap", swapped
    for kind, changes in _changes()[passage.language].items():
        for pattern, instead in changes:
            changed = re.sub(pattern, instead, sentence, count=1)
            if changed != sentence:
                yield kind, changed
                break


def _swapped(sentence: str, one: str, other: str) -> str:
    """The sentence with the two in each other's place; with one of them alone, it becomes the other."""
    names = {one.casefold(): other, other.casefold(): one}
    changed = re.sub(
        "|".join(map(re.escape, (one, other))),
        lambda match: names[match.group().casefold()],
        sentence,
        flags=re.IGNORECASE,
    )
    return changed[:1].upper() + changed[1:]


_NUMERAL_WORDS: Final = {
    "en": "two=2 three=3 four=4 six=6 nine=9 ten=10 sixteen=16 thirty=30 8=eight 12=twelve 14=fourteen 90=ninety",
    "zh": "二十五=25 三十=30 十=10 35=三十五 90=九十 14=十四 24=二十四 300=三百 6=六",
}  # fmt: skip
_NUMERALS: Final = {
    language: dict(pair.split("=") for pair in words.split()) for language, words in _NUMERAL_WORDS.items()
}
_NUMERAL: Final = {
    "en": re.compile(rf"(?<![\w.])(?:{'|'.join(_NUMERALS['en'])})(?![\w.:/])"),
    "zh": re.compile(rf"(?<![A-Z\d])(?:{'|'.join(_NUMERALS['zh'])})(?![一\d])"),
}
_REWORDED: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "en": {
        "first part": (r"(?<=\w{4}) (?:and|before|within|after) (?!a half|\w+ \w+\.$).*$", "."),
        "has to": (r"\bmust (?!not)", "have to "),
        "contracted": (r"\b(is|are|do|does) not\b", r"\1n't"),
        "stressed": (r"((?<!\S)\d+ \w+)", r"**\1**"),
    },
    "zh": {"first part": (r"^(.{6,}?)，.*$", r"\1。"), "must": ("必须", "须"), "reported": ("^", "根据文件，")},
}


def _true(passage: Passage, sentence: str, following: list[str]) -> Iterator[tuple[str, str]]:
    yield "as it is", sentence
    yield from ((kind, changed) for kind, changed in _reworded(passage.language, sentence) if changed != sentence)
    if following and passage.language == "en" and following[0].split()[0] in ("The", "They", "It", "Every", "Minutes"):
        yield "joined", f"{sentence.rstrip('.')}, and {_lowered(following[0])}"
    elif following and passage.language == "zh":
        yield "joined", f"{sentence.rstrip('。')}，{following[0]}"


def _reworded(language: str, sentence: str) -> Iterator[tuple[str, str]]:
    for kind, (pattern, instead) in _REWORDED[language].items():
        yield kind, re.sub(pattern, instead, sentence, count=1)
    yield "numerals", _NUMERAL[language].sub(lambda found: _NUMERALS[language][found[0]], sentence, count=1)
    if language == "en":
        yield "reported", f"According to the document, {_lowered(sentence)}"
        yield "fronted", re.sub(r"^(.*\w) ((?:within|during|before|after) [^,]+)\.$", _fronted, sentence)


def _lowered(text: str) -> str:
    first = text.split()[0]
    return (
        text if first.isupper() or first in ("Maria", "PostgreSQL", "Priority", "Dogs") else text[0].lower() + text[1:]
    )


def _fronted(match: re.Match[str]) -> str:
    return f"{match[2][0].upper()}{match[2][1:]}, {_lowered(match[1])}."
