"""Adding things: a connector is built exactly as its how-to says, and no list of files is too long."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.names import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PAGE = (ROOT / "docs/how-to/write-a-connector.md").read_text("utf-8")
SECTION = TEXT.partition("\n## How to add …\n")[2].partition("\n## ")[0]
_BLOCK = re.compile(r"(?ms)^`([\w/.]+)`:\n\n```(python|diff)\n(.*?)^```")
_ROW = re.compile(r"(?m)^\| `([\w/.-]+)`.*\|$")


def follow(page: str, checkout: Path) -> None:
    """Do in a checkout what the code blocks of a page say: new files, and lines to add after others."""
    for name, language, block in _BLOCK.findall(page):
        path = checkout / name
        if language == "python":
            assert not path.exists()
            path.write_text(block)
        else:
            path.write_text(added(path.read_text("utf-8"), block))


def added(source: str, block: str) -> str:
    """A file with the added lines of a block: right after the line before them, or before the first one.

    The block's other lines stand in the file, in this order.
    """
    result: list[str] = []
    new: list[str] = []
    rest = source.splitlines()
    for line in block.splitlines():
        if line.startswith("+"):
            new.append(line[1:])
            continue
        position = rest.index(line[1:])
        result += [*new, *rest[:position], line[1:]] if result else [*rest[:position], *new, line[1:]]
        new, rest = [], rest[position + 1 :]
    return "\n".join([*result, *new, *rest]) + "\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """This checkout, with copies of the folders that a connector is added to, compiled as they are."""
    for path in ROOT.iterdir():
        if path.name not in ("rag_assets", "tests") and path.name[0] != ".":
            (tmp_path / path.name).symlink_to(path)
    for name in ("rag_assets", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.timeout(300)  # a run of pytest of its own
def test_a_connector_that_is_added_as_the_page_says_passes_the_contract(checkout: Path) -> None:
    follow(PAGE, checkout)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-ra"]
    result = subprocess.run(
        [*command, "tests/contract/connectors/test_wiki.py"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    suite = (ROOT / "rag_assets/testing/connector_suite.py").read_text("utf-8").count("    def test_")
    assert f"{suite + PAGE.count('    def test_')} passed" in result.stdout
    changed = {name for name, _, _ in _BLOCK.findall(PAGE)} | {"docs/how-to/add-a-NAME-source.md"}
    rows = set(_ROW.findall(SECTION.partition("### A connector")[2].partition("\n### ")[0]))
    assert {name.replace("NAME.py", "wiki.py") for name in rows} == changed


def test_no_list_of_files_to_touch_is_longer_than_five() -> None:
    lists = {part.partition("\n")[0]: _ROW.findall(part) for part in SECTION.split("\n### ")[1:]}
    assert list(lists) == ["A connector", "A parser", "A check", "An RPC", "A page of the console"]
    assert {name: files for name, files in lists.items() if not 2 <= len(files) <= 5} == {}
    for path in (path for files in lists.values() for path in files if "NAME" not in path):
        assert (ROOT / path).is_file(), path
