"""Calls that turn data into code, or that leave certificates unchecked, are nowhere in the shipped packages."""

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


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def offences(source: str) -> list[str]:
    found = []
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


@pytest.mark.parametrize(
    "source", ["eval('1')", "subprocess.run('ls', shell=True)", "yaml.load(x)", "httpx.get(u, verify=False)"]
)
def test_the_gate_sees_them(source: str) -> None:
    assert offences(source)
