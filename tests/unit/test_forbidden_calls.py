"""Calls that turn data into code, leave certificates unchecked or truncate files are nowhere in what is shipped."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("rag_core", "rag_assets", "query_server", "console", "ragctl", "benchmarks", "scripts")
FORBIDDEN = {
    "eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads", "yaml.load", "torch.load",
    "ssl._create_unverified_context",
}  # fmt: skip
FORBIDDEN_WORDS = {name.partition(".")[0] for name in FORBIDDEN - {"os.system", "os.popen"}} | {"system", "popen"}

PRODUCT = ("rag_core", "rag_assets", "query_server", "console", "interfaces", "ragctl")
TRUNCATING = ("write_text", "write_bytes")
WRITTEN_AGAIN = {
    "rag_core/platform.py",
    "ragctl/chart/writer.py",
    "ragctl/commands/connector.py",
    "ragctl/local_stack/sources.py",
}
"""A process's name; a generator of committed files; a package that is written new, and fails with its command; and the
default corpus, thousands of files that each `rag up` compares."""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def offences(source: str) -> list[str]:
    found: list[str] = []
    if source.isascii() and not any(word in source for word in ("shell", "verify", *FORBIDDEN_WORDS)):
        return found  # to parse all of the tree takes seconds
    for name, call in calls(ast.parse(source)):
        keywords = {item.arg: ast.unparse(item.value) for item in call.keywords}
        if name in FORBIDDEN or keywords.get("shell") == "True" or keywords.get("verify") == "False":
            found.append(f"line {call.lineno}: {name}")
    return found


@pytest.mark.catalogue("S33", "S24")
@pytest.mark.parametrize("package", PACKAGES)
def test_no_forbidden_call(package: str) -> None:
    found = {
        str(path.relative_to(ROOT)): bad
        for path in sorted((ROOT / package).rglob("*.py"))
        if (bad := offences(path.read_text("utf-8")))
    }
    assert found == {}


@pytest.mark.catalogue("A27")
def test_no_file_is_written_by_truncation() -> None:
    """On a full disk it stays behind empty, and what reads it fails until somebody looks: `rag_core.files` replaces."""
    found = {
        str(path.relative_to(ROOT))
        for package in PRODUCT
        for path in (ROOT / package).rglob("*.py")
        if any(word in (source := path.read_text("utf-8")) for word in TRUNCATING)
        for name, _ in calls(ast.parse(source))
        if name.endswith(tuple(f".{word}" for word in TRUNCATING))
    }
    assert found == WRITTEN_AGAIN


@pytest.mark.parametrize(
    "source", ["eval('1')", "subprocess.run('ls', shell=True)", "yaml.load(x)", "httpx.get(u, verify=False)"]
)
def test_the_gate_sees_them(source: str) -> None:
    assert offences(source)
