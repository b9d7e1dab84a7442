"""The files that a backup holds beside the database, and where each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir


def folders(settings: Settings, data_dir: DataDir) -> dict[str, Path]:
    """Folders with small files, by their name in the archive."""
    return {
        "secrets": data_dir.secrets,
        "sources": settings.effective_sources_dir,
        "golden": settings.effective_golden_dir,
        "questions": settings.effective_questions_dir,
    }


def single_files(settings: Settings, data_dir: DataDir) -> dict[str, Path]:
    """Single files, by their name in the archive."""
    return {"stack.env": data_dir.env_file, "erasures.jsonl": settings.erasure_ledger}


def small_files(settings: Settings, data_dir: DataDir) -> Iterator[tuple[str, Path]]:
    """Yield every file that a backup holds, with its name in the archive."""
    for name, folder in folders(settings, data_dir).items():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix != ".lock":
                yield f"{name}/{path.relative_to(folder).as_posix()}", path
    for name, path in single_files(settings, data_dir).items():
        if path.is_file():
            yield name, path


def target_of(name: str, settings: Settings, data_dir: DataDir) -> Path | None:
    """Return where a file of an archive belongs; `None` for one that this release does not know."""
    if path := single_files(settings, data_dir).get(name):
        return path
    first, _, rest = name.partition("/")
    folder = folders(settings, data_dir).get(first)
    return folder / rest if folder is not None and rest else None
