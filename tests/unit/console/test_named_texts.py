"""The browser tests of whole stacks run seldom: what they look for in the console must be what it says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from generate_catalogues import CATALOGUES

FAULTS = Path(__file__).parents[2] / "faults"
BROWSERS = sorted(path for path in FAULTS.glob("*.py") if "playwright" in path.read_text("utf-8"))
STREAMLIT = frozenset({"Clear all"})
"""Texts of the framework."""
NAMED = {"get_by_role": (), "get_by_label": (0,), "get_by_placeholder": (0,), "go": (1,), "act": (1, 3)}
"""Which arguments of a call are texts of the console, beside `name`. The reason that `act` types is none."""


def texts(tree: ast.Module) -> Iterator[str]:
    """Names of buttons, fields and pages, and what an action says."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name not in NAMED:
            continue
        given = [call.args[at] for at in NAMED[name] if at < len(call.args)]
        named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
        yield from (
            one.value for one in (*given, *named) if isinstance(one, ast.Constant) and isinstance(one.value, str)
        )


def says(message: str, text: str) -> bool:
    """Whether the console's message, filled in, has this text."""
    blank, filled = re.sub(r"\{[^}]*\}", "0", message), re.sub(r"\d+", "0", text)
    any_values = ".+".join(map(re.escape, re.split(r"\{[^}]*\}", message)))
    return filled in blank or (len(any_values) > 20 and re.fullmatch(any_values, text) is not None)


@pytest.mark.parametrize("path", BROWSERS, ids=lambda path: path.stem)
def test_what_a_browser_test_names_is_a_text_of_the_console(path: Path) -> None:
    with (CATALOGUES / "zh/LC_MESSAGES/console.po").open("rb") as file:
        messages = [str(one.id) for one in read_po(file) if not one.context]
    named = set(texts(ast.parse(path.read_text("utf-8")))) - STREAMLIT
    assert {text for text in named if not any(says(message, text) for message in messages)} == set()
