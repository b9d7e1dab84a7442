"""docs/explanation/security.md names the test behind each promise; each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

from rag_core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "security.md"
_DEFINED = re.compile(r"(?m)^(?:async )?def (test_\w+)")


def test_every_test_that_a_page_names_exists() -> None:
    defined = {name for path in ROOT.glob("tests/**/test_*.py") for name in _DEFINED.findall(path.read_text("utf-8"))}
    assert len(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8"))) > 20
    for page in (page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "history"):
        text = page.read_text("utf-8")
        assert set(re.findall(r"`(test_\w+)`", text)) <= defined, page.name
        made = set(re.findall(r"(?m)^`(tests/[\w/.]+)`:$", text))  # by the page itself
        named = set(re.findall(r"`(tests/[\w/.]+)`", text)) - made
        assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_promise_names_a_test() -> None:
    section = PAGE.read_text("utf-8").partition("## Promises")[2].partition("## After")[0]
    rows = [
        line
        for line in section.splitlines()
        if line.startswith("| ") and not line.startswith(("| promise", "| case", "| port | setting"))
    ]
    assert rows
    assert [row for row in rows if "`test" not in row.split("|")[-2]] == []


def test_every_setting_of_a_port_is_in_the_table_of_ports() -> None:
    table = PAGE.read_text("utf-8").partition("## Ports")[2].partition("## After")[0]
    ports = [
        name for name in Settings.model_fields if name.endswith("_port") or name in {"green_ports", "replica_ports"}
    ]
    assert len(ports) > 15
    assert [name for name in ports if f"`RAG_{name.upper()}`" not in table] == []
