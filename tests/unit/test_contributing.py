"""Adding things: a connector is built exactly as its how-to says, and no list of files is too long."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.names import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PAGE = (ROOT / "docs/how-to/write-a-connector.md").read_text("utf-8")
SECTION = TEXT.partition("\n## How to add …\n")[2].partition("\n## ")[0]
_COMMAND = re.compile(r"(?m)^\$ (.+)$")
_ROW = re.compile(r"(?m)^\| `([\w/.-]+)`.*\|$")


@pytest.mark.timeout(300)  # runs of pytest and of pip
def test_a_connector_is_written_tested_and_published_by_the_commands_of_its_page(tmp_path: Path) -> None:
    """In an environment that has the packages of this one, and what the page installs beside them."""
    site, folder, output = tmp_path / "site", tmp_path, {}
    env = {**os.environ, "PYTHONPATH": f"{site}:{ROOT}", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
           "PIP_TARGET": str(site), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0",
           "RAG_HOME": str(tmp_path / "home"), "PYTEST_ADDOPTS": "-n 0 -p no:cacheprovider"}  # fmt: skip
    for command in _COMMAND.findall(PAGE):
        if command.startswith("cd "):
            folder /= command.removeprefix("cd ")
            continue
        ran = subprocess.run(shlex.split(command), cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
        output[command] = ran.stdout
    suite = (ROOT / "rag_assets/testing/connector_suite.py").read_text("utf-8").count("    def test_")
    own = (folder / "tests/test_wiki.py").read_text("utf-8").count("    def test_")
    assert f"{suite + own} passed" in output["pytest"]
    row = next(line for line in output["rag source kinds"].splitlines() if line.startswith("wiki "))
    assert re.split(r" {2,}", row.strip()) == ["wiki", "wiki", "file or source", "rag-connector-wiki 0.1.0", "ok"]
    assert [path.name for path in (folder / "dist").iterdir()] == ["rag_connector_wiki-0.1.0-py3-none-any.whl"]


def test_no_list_of_files_to_touch_is_longer_than_five() -> None:
    lists = {part.partition("\n")[0]: _ROW.findall(part) for part in SECTION.split("\n### ")[1:]}
    assert list(lists) == ["A connector", "A parser", "A check", "An RPC", "A page of the console"]
    assert {name: files for name, files in lists.items() if not 2 <= len(files) <= 5} == {}
    for path in (path for files in lists.values() for path in files if "NAME" not in path):
        assert (ROOT / path).is_file(), path
