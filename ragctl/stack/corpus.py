"""The corpus of `rag up` when no folder is given: documentation this machine already carries.

The long descriptions of the installed packages become one Markdown or text file each, their licence texts one file per
distinct text. Files are only written when their content differs, so a second `rag up` changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from itertools import islice
from pathlib import Path

import ragctl
from rag_core.ids import fingerprint

_LICENCE_NAME = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)
_EXTENSIONS = {"text/markdown": ".md", "text/x-rst": ".rst"}
_COPYRIGHT = re.compile(r"^.*\b(copyright|©|\(c\)).*$", re.IGNORECASE | re.MULTILINE)
_MIN_CHARS = 200
_MAX_DESCRIPTION_CHARS = 2_500
"""The beginning says what the package is. So the corpus is embedded in about a minute on two cores."""
_MAX_LICENCES = 30
_MAX_LICENCE_CHARS = 12_000
"""Longer ones are collections of the licences of bundled parts."""


def write_project_corpus(folder: Path) -> bool:
    """Bring `folder` up to date with the documentation of the checkout this command runs from; False without one.

    A copy, because the checkout usually holds RAG_HOME, and a source must lie apart from it.
    """
    root = Path(ragctl.__file__).parent.parent
    if not (root / "docs").is_dir():
        return False
    pages = [*root.glob("README*.md"), *root.glob("docs/**/*.md")]
    _write_all(folder, {str(page.relative_to(root)): page.read_text("utf-8") for page in pages})
    return True


def write_package_corpus(folder: Path) -> None:
    """Bring `folder`/packages and `folder`/licences up to date with what is installed."""
    stamp, current = folder / "stamp", _stamp()
    if stamp.exists() and stamp.read_text() == current:
        return
    installed = list(distributions())
    _write_all(folder / "packages", dict(_descriptions(installed)))
    _write_all(folder / "licences", dict(islice(_licences(installed), _MAX_LICENCES)))
    stamp.write_text(current)


def _stamp() -> str:
    """Hash of the names and versions of what is installed, without reading any of it, and of how the corpus is made."""
    folders = [Path(entry) for entry in sys.path if entry and Path(entry).is_dir()]
    names = sorted(path.name for folder in folders for path in folder.glob("*.dist-info"))
    return fingerprint(_MAX_DESCRIPTION_CHARS, _MAX_LICENCE_CHARS, _MAX_LICENCES, *names)


def _descriptions(installed: list[Distribution]) -> Iterator[tuple[str, str]]:
    for distribution in installed:
        metadata = distribution.metadata
        body = metadata.get_payload() or metadata.get("Description") or ""  # type: ignore[attr-defined]
        if not isinstance(body, str) or len(body) < _MIN_CHARS:
            continue
        kind = str(metadata.get("Description-Content-Type", "")).partition(";")[0].strip().lower()  # type: ignore[attr-defined]
        name = re.sub(r"[^a-z0-9]+", "-", str(metadata["Name"]).lower())
        heading = f"{metadata['Name']} {metadata['Version']}: {metadata.get('Summary', '')}".strip()  # type: ignore[attr-defined]
        yield f"{name}{_EXTENSIONS.get(kind, '.txt')}", _with_heading(heading, kind, _shortened(body))


def _shortened(body: str) -> str:
    """The text up to the limit, cut between paragraphs."""
    if len(body) <= _MAX_DESCRIPTION_CHARS:
        return body
    return body[:_MAX_DESCRIPTION_CHARS].rpartition("\n\n")[0] or body[:_MAX_DESCRIPTION_CHARS]


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
                digest = _wording(text)
                if digest not in seen and _MIN_CHARS <= len(text) <= _MAX_LICENCE_CHARS:
                    seen.add(digest)
                    yield f"{str(distribution.metadata['Name']).lower()}-{digest}.txt", text


def _wording(text: str) -> str:
    """Hash of a licence without its copyright lines, case and layout: equal for equal terms of different owners."""
    words = re.findall(r"\w+", _COPYRIGHT.sub("", text).lower())
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:8]


def _write_all(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.rglob("*"):
        if stale.is_file() and str(stale.relative_to(folder)) not in files:
            stale.unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode("utf-8", "replace")
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)
