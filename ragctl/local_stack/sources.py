"""The source files that `rag up` writes: a folder of the user, or the documentation of this machine."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

import ragctl
from rag_core.errors import ConfigError, Reason
from rag_core.files import replace_file
from rag_core.ids import fingerprint
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.output import note
from ragctl.tokens import DEFAULT_TENANT

# --------------------------------------------------------------------------------------------------------------------
# The corpus of `rag up` when no folder is given: documentation this machine already carries.


_HISTORY = "history"
"""Folder of what earlier releases said, which is no help to a reader of this one."""
_LICENCE_NAME = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)
_EXTENSIONS = {"text/markdown": ".md", "text/x-rst": ".rst"}
_COPYRIGHT = re.compile(r"^.*\b(copyright|©|\(c\)).*$", re.IGNORECASE | re.MULTILINE)
_MIN_CHARS = 200
_MAX_DESCRIPTION_CHARS = 2_500
"""The beginning says what the package is. So the corpus is embedded in about a minute on two cores."""
_MAX_LICENCES = 30
_MAX_LICENCE_CHARS = 12_000
"""Longer ones are collections of the licences of bundled libraries."""


def write_project_corpus(folder: Path) -> None:
    """Bring `folder` up to date with the documentation of the platform: of the checkout, or of the installed wheel.

    A copy, because the checkout usually holds RAG_HOME, and a source must lie apart from it.
    """
    readmes, docs = _documentation()
    pages = {page.name: page for page in readmes.glob("README*.md")}
    found = (page.relative_to(docs) for page in docs.rglob("*.md"))
    pages |= {f"docs/{name}": docs / name for name in found if name.parts[0] != _HISTORY}
    _write_all(folder, {name: page.read_text("utf-8") for name, page in pages.items()})


def _documentation() -> tuple[Path, Path]:
    """The folder of the READMEs and that of the pages."""
    root = Path(ragctl.__file__).parent.parent
    if (root / "docs").is_dir():
        return root, root / "docs"
    return root / "interfaces" / "readmes", root / "interfaces" / "pages"


def write_package_corpus(folder: Path) -> None:
    """Bring `folder`/packages and `folder`/licences up to date with what is installed."""
    stamp, current = folder / "stamp", _stamp()
    if stamp.exists() and stamp.read_text() == current:
        return
    installed = list(distributions())
    _write_all(folder / "packages", dict(_descriptions(installed)))
    _write_all(folder / "licences", dict(islice(_licences(installed), _MAX_LICENCES)))
    replace_file(stamp, current.encode())


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


_HEADER = "# Written by `rag up`; yours to edit. See docs/how-to/add-a-filesystem-source.md\n"
_FOLDER_SOURCE, _PROJECT_SOURCE = "docs", "project"


def ensure_sources(settings: Settings, data_dir: DataDir, docs: Path | None) -> bool:
    """Write what is missing. Returns whether a source file changed.

    With `docs` that folder becomes the source `docs`; without, and when there is no source file yet, the default corpus
    is made. Files that exist are never changed, except `docs.yaml` when another folder is given, and
    `project.yaml` when its root would be refused.

    Raises `ConfigError` (`CONFIG_INVALID`) when `docs` is not a folder that can be read or may be a source; a file
    written here is then taken back. What is wrong with other files is printed, and keeps nothing else from running.
    """
    from rag_assets.config import SourceFiles, read_sources

    folder = settings.effective_sources_dir
    folder.mkdir(parents=True, exist_ok=True)
    before = _contents(folder)
    if docs is not None:
        _write_source(folder, _FOLDER_SOURCE, root=_readable(docs))
    elif not before:
        _write_defaults(folder, data_dir)
    if (folder / "packages.yaml").exists():
        write_package_corpus(data_dir.root / "corpus")
    if (folder / f"{_PROJECT_SOURCE}.yaml").exists():
        _keep_project_source(folder, data_dir)
    problems = read_sources(folder).problems
    written = {f"sources/{path.name}" for path, content in _contents(folder).items() if before.get(path) != content}
    if mine := [problem for problem in problems if problem.place in written]:
        _restore(folder, before)
        SourceFiles(problems=mine).require_usable()
    for problem in problems:
        note(f"source {problem.source} is left out: {problem}")
    return bool(written) or _contents(folder).keys() != before.keys()


def is_new_folder(settings: Settings, docs: Path) -> bool:
    """Return whether `docs` is not the folder of the source `docs` yet. Raises `ConfigError` when it cannot be read."""
    return _root_of(settings.effective_sources_dir / f"{_FOLDER_SOURCE}.yaml") != str(_readable(docs))


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("*.yaml")}


def _restore(folder: Path, before: dict[Path, bytes]) -> None:
    for path in folder.glob("*.yaml"):
        if path not in before:
            path.unlink()
    for path, content in before.items():
        replace_file(path, content)


def _write_defaults(folder: Path, data_dir: DataDir) -> None:
    corpus = data_dir.root / "corpus"
    write_package_corpus(corpus)
    _write_source(folder, "packages", root=corpus / "packages")
    _write_source(folder, "licences", root=corpus / "licences")
    write_project_corpus(corpus / _PROJECT_SOURCE)
    _write_source(folder, _PROJECT_SOURCE, root=corpus / _PROJECT_SOURCE)


def _keep_project_source(folder: Path, data_dir: DataDir) -> None:
    """Bring the copied documentation up to date."""
    copied = data_dir.root / "corpus" / _PROJECT_SOURCE
    if _root_of(folder / f"{_PROJECT_SOURCE}.yaml") == str(copied):
        write_project_corpus(copied)


def _write_source(folder: Path, name: str, *, root: Path, **options: Any) -> None:
    attributes = {
        "name": name,
        "tenant": DEFAULT_TENANT,
        "acl": ["everyone"],
        "options": {"kind": "folder", "root": str(root), **options},
    }
    document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
    text = _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    path = folder / f"{name}.yaml"
    if not path.exists() or _root_of(path) != str(root):
        replace_file(path, text.encode())


def _root_of(path: Path) -> str | None:
    try:
        return str(yaml.safe_load(path.read_text("utf-8"))["attributes"]["options"]["root"])
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return None  # not a source file that we could have written


def _readable(docs: Path) -> Path:
    root = docs.expanduser().resolve()
    try:
        next(root.iterdir(), None)
    except OSError as error:
        raise ConfigError(Reason.CONFIG_INVALID, f"--docs: {error.strerror}: give a folder that exists") from None
    return root
