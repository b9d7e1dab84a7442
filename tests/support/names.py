"""Names of files and definitions as pages and comments write them, looked up in the checkout without importing it."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rag_core", "rag_assets", "query_server", "ragctl", "console", "benchmarks")
FOLDERS = (*PACKAGES, "ragproto", "scripts", "tests", "deploy", "helm", "proto", "docs", "requirements")

# Possessive, so that `values-${ENVIRONMENT}.yaml` and `values-<name>.yaml` are no match instead of half a one.
_PATH = re.compile(rf"(?<![\w./$-])(?:{'|'.join(FOLDERS)})(?:/[\w.*-]++)+(?![\w$<{{])")
_DOTTED = re.compile(rf"(?<![\w./$-])(?:{'|'.join(PACKAGES)})(?:\.[a-z_][a-z0-9_]*)*\.\w++(?![\w(/-])")
_COMMENT = re.compile(r"(?m)(?:^|\s)#.*$")  # a `#` within a string does no harm
_FILE_OF_ROOM = re.compile(r"(?m)^(\w+\.(?:py|lua))  +\S")
# A link, a value of the chart, a deployment as kubectl names it, what an installation adds, an import of protoc, the
# examples of CONTRIBUTING.md and of the page on connectors, a placeholder.
_OTHER = re.compile(
    r"console\.(md|[a-z]*[A-Z]\w*|ingress|example)|deploy/(rag-|secrets|sources|documents)"
    r"|ragproto/.*\.proto|.*json_lines|.*wiki|.*NAME"
)


def paths_in(text: str) -> Iterator[str]:
    """Paths from the root of the repository that a text names."""
    for match in _PATH.finditer(text):
        if not _OTHER.match(match[0]):
            yield match[0].rstrip(".")


def dotted_in(text: str) -> Iterator[str]:
    """Modules, classes and functions that a text names with their package."""
    for match in _DOTTED.finditer(text):
        if not _OTHER.match(match[0]):
            yield match[0]


def is_path(name: str) -> bool:
    """Whether a path is in the tree, or a folder that readers make and git ignores."""
    if f"/{name.strip('/')}/" in (ROOT / ".gitignore").read_text("utf-8").splitlines():
        return True
    return any(True for _ in ROOT.glob(name)) if "*" in name else (ROOT / name).exists()


def is_dotted(name: str) -> bool:
    """Whether a dotted name is a module or package, or what one defines or imports."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        rest = ".".join(parts[length:])
        module = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        if base.is_dir() and not rest:
            return True
        if module.is_file():
            offers = module.with_suffix(".pyi")  # of a package, whose `__init__.py` loads what is used
            return not rest or defines(module, rest) or (offers.is_file() and defines(offers, rest))
    return False


def defines(path: Path, name: str) -> bool:
    """Whether a module has a class, function, method, field, constant or import of this name (`Class.method`)."""
    return name in _definitions(path)


@functools.cache
def _definitions(path: Path) -> frozenset[str]:
    return frozenset(_of_body(ast.parse(path.read_text("utf-8")).body, ""))


def _of_body(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name
            yield from (name for name in _of_body(node.body, f"{prefix}{node.name}."))
        elif isinstance(node, ast.ClassDef):
            yield prefix + node.name
            yield from _of_body(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (prefix + (alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from (prefix + leaf.id for leaf in ast.walk(target) if isinstance(leaf, ast.Name))
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from _of_body(node.body, prefix)


@functools.cache
def prose_of(path: Path) -> str:
    """What a file says to people: comments and docstrings of Python, all of anything else."""
    source = path.read_text("utf-8")
    if path.suffix != ".py":
        return source
    return "\n".join([*_COMMENT.findall(source), *_docstrings(ast.parse(source))])


def _docstrings(tree: ast.AST) -> Iterator[str]:
    """String statements: docstrings, and the ones below fields and constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def files_of_package(path: Path) -> list[str]:
    """The files that the docstring of a package lists, one a line."""
    return _FILE_OF_ROOM.findall(ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")
