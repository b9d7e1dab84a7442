"""docs/architecture.md names every package once, and every file and definition that it and the walks name exists."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.support.names import ROOT, defines

TEXT = (ROOT / "docs" / "architecture.md").read_text("utf-8")
WALKS = (ROOT / "docs" / "explanation" / "code-walks.md").read_text("utf-8")
MAX_LINES = 120
MAX_FILES = 4
"""That a newcomer opens for the answer to one question."""
FOLDERS = ("rag_core", "rag_assets", "query_server", "console", "interfaces", "ragctl")
LAYERS = {f"rag_core/{name}" for name in ("governance", "content", "retrieval", "answering", "ingestion")}
_NAMED = re.compile(r"`([\w/]+\.py)`\s+`([\w.]+)`")


def section(text: str, title: str) -> str:
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_page_is_one_picture_one_table_and_four_questions_of_few_files() -> None:
    assert len(TEXT.splitlines()) <= MAX_LINES
    assert TEXT.count("```mermaid") == TEXT.count("\n|---") == 1
    questions = re.findall(r"(?m)^\d+\. (.*)$", TEXT)
    assert len(questions) == 4
    assert all(1 <= len({path for path, _ in _NAMED.findall(one)}) <= MAX_FILES for one in questions)


def test_every_file_and_definition_that_the_pages_name_exists() -> None:
    named = _NAMED.findall(TEXT + WALKS)
    assert len(named) > 60
    assert set(re.findall(r"`([\w/]+/\w+\.py)`", TEXT + WALKS)) == {path for path, _ in named}
    missing = [(path, name) for path, name in named if not (ROOT / path).is_file() or not defines(ROOT / path, name)]
    assert missing == []


@pytest.mark.parametrize("title", ["Follow one document", "Follow one query"])
def test_every_step_of_a_walk_names_a_file_and_a_function(title: str) -> None:
    steps = re.split(r"(?m)^\d+\. ", section(WALKS, title))[1:]
    assert len(steps) > 8
    assert [step for step in steps if not _NAMED.search(step)] == []


def test_every_package_and_every_folder_of_the_repository_is_named_once() -> None:
    listing = subprocess.run(["git", "ls-files", "*/*"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    folders = {name.partition("/")[0] for name in listing.stdout.split() if name[0] != "."}
    packages = {str(path.parent.relative_to(ROOT)) for name in FOLDERS for path in (ROOT / name).glob("*/*.py")}
    layered = {str(path.parent.relative_to(ROOT)) for layer in LAYERS for path in (ROOT / layer).glob("*/*.py")}
    rows = section(TEXT, "The packages").splitlines()
    links = [link for row in rows for link in re.findall(r"\[\w+\]\(\.\./([\w/]+)\)", row)]
    with_files = {"rag_core/answering"}  # a layer that is a package as well
    assert sorted(links) == sorted(packages - LAYERS | with_files | layered | folders - {"docs", *FOLDERS})
