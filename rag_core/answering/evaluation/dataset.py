"""Load labelled sets in the common layout: corpus.jsonl, queries.jsonl, qrels.tsv.

`rag bench retrieval` indexes and scores a set with its own corpus. A *golden* set refers to documents of the
installation: its corpus ids are `source/locator`, and its texts may be empty.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_core.errors import InvalidInput, Reason

_FILES = ("corpus.jsonl", "queries.jsonl", "qrels.tsv")


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a corpus."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A corpus with queries (id to text) and judgements (query id to document id to gain > 0)."""

    name: str
    documents: tuple[Document, ...]
    queries: dict[str, str]
    judgements: dict[str, dict[str, int]]


def is_dataset(folder: Path) -> bool:
    """Return whether the folder itself is a set."""
    return all((folder / name).is_file() for name in _FILES)


def load_datasets(folder: Path, max_queries: int | None = None) -> list[Dataset]:
    """Load the set in `folder`, or the sets in its subfolders.

    Raises `InvalidInput` (`GOLDEN_INVALID`) when there is none or one is malformed.
    """
    folders = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    found = [path for path in folders if is_dataset(path)]
    if not found:
        raise InvalidInput(Reason.GOLDEN_INVALID, f"no folder there holds {', '.join(_FILES)}")
    return [_load(path, max_queries) for path in found]


def _load(folder: Path, max_queries: int | None) -> Dataset:
    try:
        documents = tuple(
            Document(str(row["_id"]), row.get("title") or "", row.get("text") or "")
            for row in _rows(folder / _FILES[0])
        )
        judgements: dict[str, dict[str, int]] = {}
        with (folder / _FILES[2]).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                if int(row["score"]) > 0:
                    judgements.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
        queries = {str(row["_id"]): row["text"] for row in _rows(folder / _FILES[1]) if str(row["_id"]) in judgements}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(Reason.GOLDEN_INVALID, f"the set {folder.name} is malformed ({error})") from None
    kept = dict(list(queries.items())[:max_queries])
    return Dataset(folder.name, documents, kept, judgements)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)
