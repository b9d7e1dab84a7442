"""What pages, comments, docstrings and messages name exists: files, folders, modules and what is in them, commands."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.commands_named import commands_in, problem_of, texts_of
from tests.support.names import ROOT, dotted_in, files_of_package, is_dotted, is_path, paths_in, prose_of

HISTORY = ("CHANGELOG.md", "docs/history/")
"""What was true of a release is not rewritten."""
SUFFIXES = {".md", ".py", ".yaml", ".yml", ".toml", ".sh", ".lua", ".proto", ".tpl", ".hcl", ".txt", ".mako", ""}


@cache
def texts() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    names = [name for name in listing.stdout.split("\0") if name and not name.startswith(HISTORY)]
    kept = [
        name
        for name in names
        if not name.startswith(("ragproto/", "requirements/", "tests/data/", "helm/rag-platform/README.md"))
    ]
    return [ROOT / name for name in kept if Path(name).suffix in SUFFIXES and (ROOT / name).is_file()]


def named(find: Callable[[str], Iterator[str]]) -> set[str]:
    """What the texts name, with their files. Only what names something is parsed for its comments and docstrings."""
    naming = [path for path in texts() if any(find(path.read_text("utf-8")))]
    return {f"{path.relative_to(ROOT)}: {name}" for path in naming for name in find(prose_of(path))}


def test_every_path_that_a_text_names_exists() -> None:
    missing = named(paths_in)
    assert sorted(line for line in missing if not is_path(line.rpartition(": ")[2])) == []


def test_every_module_class_and_function_that_a_text_names_exists() -> None:
    missing = named(dotted_in)
    assert sorted(line for line in missing if not is_dotted(line.rpartition(": ")[2])) == []


def test_every_file_that_the_docstring_of_a_package_lists_is_in_it() -> None:
    listed = {path.parent / name for path in texts() if path.name == "__init__.py" for name in files_of_package(path)}
    assert len(listed) > 20
    assert sorted(str(path.relative_to(ROOT)) for path in listed if not path.is_file()) == []


def test_every_command_that_a_text_names_exists_with_its_options() -> None:
    named = {
        (str(path.relative_to(ROOT)), command)
        for path in texts()
        if not path.is_relative_to(ROOT / "tests")
        for text in texts_of(path)
        for command in commands_in(text)
    }
    assert len(named) > 500
    assert sorted(f"{name}: {problem}" for name, command in named if (problem := problem_of(command))) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("look with `rag index list`", "rag index list: no such command"),
        ("`kubectl exec deploy/x -- rag documents erase …`", "rag documents erase: no such command"),
        ("$ rag statsu", "rag statsu: no such command"),
        ("rag index promote g \\\n  --why x", "rag index promote: no option --why"),
        ("then rag source sync, and `helm install rag chart`", None),
        ("rag source sync NAME --no-wait --output json", None),
    ],
)
def test_a_command_that_a_text_names_is_looked_up(text: str, problem: str | None) -> None:
    assert {problem_of(command) for command in commands_in(text)} == {problem}


@pytest.mark.parametrize(
    "name",
    [
        "rag_core.ingestion.pipeline.base.StageResult.pending",
        "rag_core.retrieval.index.VectorIndex",
        "rag_core.settings.Settings",
    ],
)
def test_a_name_is_found_where_it_is_defined_or_imported(name: str) -> None:
    assert is_dotted(name)
    assert not is_dotted(name + "x")
