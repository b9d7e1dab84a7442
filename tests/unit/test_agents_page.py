"""AGENTS.md and docs/llms.txt: what they name exists, so that a reader without a question to ask is not misled."""

from __future__ import annotations

import re
import shlex

import pytest

from ragctl.app import app
from ragctl.envelope import take_output_option
from tests.support.names import ROOT

PAGE = (ROOT / "AGENTS.md").read_text("utf-8")
INDEX = (ROOT / "docs" / "llms.txt").read_text("utf-8")
BLOCKS = "\n".join(re.findall(r"(?ms)^```sh\n(.*?)^```", PAGE))
COMMANDS = [shlex.split(line, comments=True) for line in BLOCKS.splitlines() if line]
TARGETS = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
CHECKS = set(re.findall(r'(?m)^    \("([a-z ]+)", ', (ROOT / "scripts" / "check.py").read_text("utf-8")))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_page_can_be_given(words: list[str]) -> None:
    program, *arguments = words
    if program == "make":
        assert arguments[0] in TARGETS
        assert set(" ".join(arguments[1:]).removeprefix("CHECKS=").split()) <= CHECKS
    elif program == ".venv/bin/rag":
        rest, _ = take_output_option(arguments)
        app.parse_args(rest, exit_on_error=False, print_error=False)
    else:
        assert program == ".venv/bin/pytest"
        assert (ROOT / arguments[-1]).is_dir()


def test_every_page_stands_in_the_index_once() -> None:
    linked = re.findall(r"\]\(([\w/.-]+\.md)\): \S", INDEX)
    pages = [str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")]
    assert sorted(linked) == sorted(page for page in pages if not page.startswith("history/"))


def test_the_page_stays_short() -> None:
    assert len(PAGE.split()) < 700
