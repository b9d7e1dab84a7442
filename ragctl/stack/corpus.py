"""The corpus of `rag up` when no folder is given: documentation this machine already carries.

The long descriptions of the installed packages become one Markdown or text file each, their licence texts one file per
distinct text. Files are only written when their content differs, so a second `rag up` changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import ragctl

_LICENCE_NAME = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)
_EXTENSIONS = {"text/markdown": ".md", "text/x-rst": ".rst"}
_MIN_CHARS = 200
_MAX_CHARS = 60_000
"""Longer descriptions are changelogs in the main."""


def project_root() -> Path | None:
    """The source checkout this command runs from, when it has documentation."""
    root = Path(ragctl.__file__).parent.parent
    return root if (root / "docs").is_dir() else None


def write_package_corpus(folder: Path) -> None:
    """Bring `folder`/packages and `folder`/licences up to date with what is installed."""
    installed = list(distributions())
    _write_all(folder / "packages", dict(_descriptions(installed)))
    _write_all(folder / "licences", dict(_licences(installed)))


def _descriptions(installed: list[Distribution]) -> Iterator[tuple[str, str]]:
    for distribution in installed:
        metadata = distribution.metadata
        body = metadata.get_payload() or metadata.get("Description") or ""  # type: ignore[attr-defined]
        if not isinstance(body, str) or not _MIN_CHARS <= len(body) <= _MAX_CHARS:
            continue
        kind = str(metadata.get("Description-Content-Type", "")).partition(";")[0].strip().lower()  # type: ignore[attr-defined]
        name = re.sub(r"[^a-z0-9]+", "-", str(metadata["Name"]).lower())
        heading = f"{metadata['Name']} {metadata['Version']}: {metadata.get('Summary', '')}".strip()  # type: ignore[attr-defined]
        yield f"{name}{_EXTENSIONS.get(kind, '.txt')}", _with_heading(heading, kind, body)


def _with_heading(heading: str, kind: str, body: str) -> str:
    if kind == "text/markdown":
        return f"# {heading}\n\n{body}\n"
    return f"{heading}\n{'=' * len(heading)}\n\n{body}\n"


def _licences(installed: list[Distribution]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for distribution in sorted(installed, key=lambda item: str(item.metadata["Name"]).lower()):
        for file in distribution.files or []:
            if ".dist-info" not in str(file) or not _LICENCE_NAME.search(file.name):
                continue
            with contextlib.suppress(OSError, UnicodeDecodeError):
                text = file.read_text()
                digest = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:8]
                if digest not in seen and _MIN_CHARS <= len(text) <= _MAX_CHARS:
                    seen.add(digest)
                    yield f"{str(distribution.metadata['Name']).lower()}-{digest}.txt", text


def _write_all(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.iterdir():
        if stale.name not in files:
            stale.unlink()
    for name, text in files.items():
        path = folder / name
        data = text.encode("utf-8", "replace")
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
