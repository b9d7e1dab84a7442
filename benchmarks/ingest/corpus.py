"""A folder of Markdown files of any size, the same for every run with the same numbers."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

from benchmarks.texts import chinese_sentences, package_sentences

_FOLDER_FILES = 1000
_POOL = 20_000


def write_corpus(folder: Path, documents: int, *, paragraphs: int = 3, start: int = 0) -> None:
    """Write `documents` files, numbered from `start`; every tenth is in Chinese.

    Sentences come from the descriptions of the installed packages. No two paragraphs are equal, so that every
    chunk must be embedded.
    """
    english = list(islice(package_sentences(), _POOL))
    chinese = chinese_sentences()
    for number in range(start, start + documents):
        choice = random.Random(number)
        pool, joint = (chinese, "") if number % 10 == 9 else (english, " ")
        path = folder / f"{number // _FOLDER_FILES:03d}" / f"document-{number:06d}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        body = "\n\n".join(paragraph(choice, pool, joint, f"{number}.{place}") for place in range(paragraphs))
        path.write_text(f"# Document {number}\n\n{body}\n", encoding="utf-8")


def write_long_document(path: Path, paragraphs: int, *, edited: int | None = None) -> None:
    """One long file; paragraph `edited` is written differently than without it."""
    english = list(islice(package_sentences(), _POOL))
    parts = ["# A long document"]
    for place in range(paragraphs):
        mark = "changed" if place == edited else "first"
        parts.append(paragraph(random.Random(place), english, " ", f"{place}: {mark}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def paragraph(choice: random.Random, pool: list[str], joint: str, mark: str) -> str:
    """About five sentences, made unique by `mark`."""
    sentences = [" ".join(sentence.split()) for sentence in choice.choices(pool, k=5)]
    return joint.join([f"Section {mark}.", *sentences])
