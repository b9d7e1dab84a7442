"""The source files `rag up` writes: a folder of the user, or the documentation this machine carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from rag_core.errors import ConfigError, Reason
from rag_core.settings import Settings
from ragctl.stack.corpus import write_package_corpus, write_project_corpus
from ragctl.stack.home import Home
from ragctl.tokens import DEFAULT_TENANT

_HEADER = "# Written by `rag up`; yours to edit. See docs/how-to/add-a-filesystem-source.md\n"
_FOLDER_SOURCE, _PROJECT_SOURCE = "docs", "project"


def ensure_sources(settings: Settings, home: Home, docs: Path | None) -> bool:
    """Write what is missing. Returns whether a source file changed, so that a running code location must reload.

    With `docs` that folder becomes the source `docs`; without, and when there is no source file yet, the default corpus
    is made. Files that exist are never changed, except `docs.yaml` when another folder is given, and
    `project.yaml` when its root would be refused.

    Raises `ConfigError` (`CONFIG_INVALID`) when `docs` is not a folder that can be read or may be a source, and for
    every mistake in the files that are there; a file written here is then taken back.
    """
    from rag_assets.config import load_all_sources

    folder = settings.effective_sources_dir
    folder.mkdir(parents=True, exist_ok=True)
    before = _contents(folder)
    if docs is not None:
        _write_source(folder, _FOLDER_SOURCE, root=_readable(docs))
    elif not before:
        _write_defaults(folder, home)
    if (folder / "packages.yaml").exists():
        write_package_corpus(home.root / "corpus")
    if (folder / f"{_PROJECT_SOURCE}.yaml").exists():
        _keep_project_source(folder, home)
    try:
        load_all_sources(folder)
    except ConfigError:
        _restore(folder, before)
        raise
    return _contents(folder) != before


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.glob("*.yaml")}


def _restore(folder: Path, before: dict[Path, bytes]) -> None:
    for path in folder.glob("*.yaml"):
        if path not in before:
            path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def _write_defaults(folder: Path, home: Home) -> None:
    corpus = home.root / "corpus"
    write_package_corpus(corpus)
    _write_source(folder, "packages", root=corpus / "packages")
    _write_source(folder, "licences", root=corpus / "licences")
    if write_project_corpus(corpus / _PROJECT_SOURCE):
        _write_source(folder, _PROJECT_SOURCE, root=corpus / _PROJECT_SOURCE)


def _keep_project_source(folder: Path, home: Home) -> None:
    """Bring the copied documentation up to date. A file of release 0.1 names the checkout, which holds RAG_HOME."""
    root = _root_of(folder / f"{_PROJECT_SOURCE}.yaml")
    copied = home.root / "corpus" / _PROJECT_SOURCE
    refused = root is not None and home.root.resolve().is_relative_to(Path(root).resolve())
    if (refused or root == str(copied)) and write_project_corpus(copied):
        _write_source(folder, _PROJECT_SOURCE, root=copied)


def _write_source(folder: Path, name: str, *, root: Path, **options: Any) -> None:
    attributes = {
        "name": name,
        "tenant": DEFAULT_TENANT,
        "acl": ["everyone"],
        "options": {"kind": "filesystem", "root": str(root), **options},
    }
    document = {"type": "rag_assets.components.DocumentSource", "attributes": attributes}
    text = _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)
    path = folder / f"{name}.yaml"
    if not path.exists() or _root_of(path) != str(root):
        path.write_text(text, encoding="utf-8")


def _root_of(path: Path) -> str | None:
    try:
        return str(yaml.safe_load(path.read_text("utf-8"))["attributes"]["options"]["root"])
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return None  # not a source file that we could have written


def _readable(docs: Path) -> Path:
    root = docs.expanduser().resolve()
    try:
        next(root.iterdir(), None)
    except OSError as error:
        raise ConfigError(Reason.CONFIG_INVALID, f"--docs: {error.strerror}: give a folder that exists") from None
    return root
