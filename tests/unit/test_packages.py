"""The packages of DESIGN: where SQL stands, what a package lets others import, and no circle of files. Calls that turn
data into code, leave certificates unchecked or truncate files are nowhere in what is shipped."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = (
    "rag_tracing",
    "rag_clients",
    "rag_core",
    "rag_assets",
    "query_server",
    "ragctl",
    "console",
    "interfaces",
    "benchmarks",
)
LAYERS = ("governance", "content", "retrieval", "answering", "ingestion")
STATEMENT = re.compile(
    r"\b(?:SELECT|INSERT\s+INTO|DELETE\s+FROM|UPDATE\s+[\w.]+\s+SET|(?:CREATE|DROP)\s+(?:TEMP\s+)?TABLE|TRUNCATE|WITH\s+\w+\s+AS)\b"
)
BUILDERS = {"select", "insert", "update", "delete", "text", "func"}
OTHER_DATABASES = ("rag_assets/connectors/", "rag_core/database/", "benchmarks/")
"""Connectors read databases of the customer and keep a spool in SQLite; benchmarks seed tables."""
SUB_APIS = (
    "rag_core.database.tables",  # for stores
    "rag_core.database.embedded.server",  # a program of its own, which its package must not import
    "rag_core.content.parsing.formats",  # one module per format
)


def module_of(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


@cache
def sources() -> dict[str, tuple[Path, ast.Module]]:
    paths = [path for package in PRODUCT for path in sorted((ROOT / package).rglob("*.py"))]
    return {module_of(path): (path, ast.parse(path.read_text("utf-8"))) for path in paths}


def is_store(path: Path) -> bool:
    return path.name == "store.py" or path.name.endswith("_store.py")


def statements(tree: ast.Module) -> Iterator[ast.Constant]:
    """Strings with SQL that are more than a probe (`SELECT 1`) and no docstring or help text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = STATEMENT.search(node.value)
            if found and node.value.strip() != "SELECT 1" and not node.value.rstrip().endswith("."):
                yield node


def builders(tree: ast.Module) -> Iterator[ast.ImportFrom]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] == "sqlalchemy"
            and BUILDERS & {alias.name for alias in node.names}
        ):
            yield node


def test_sql_stands_in_stores_only() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in sources().values()
        if not is_store(path) and not path.relative_to(ROOT).as_posix().startswith(OTHER_DATABASES)
        for node in (*statements(tree), *builders(tree))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code", ["x = text('SELECT a FROM rag.b')", "from sqlalchemy import select", "x = '\\nDELETE FROM rag.b'"]
)
def test_sql_elsewhere_is_found(code: str) -> None:
    tree = ast.parse(code)
    assert [*statements(tree), *builders(tree)]


def package_of(module: str) -> str | None:
    """`rag_core.retrieval.engines` for `rag_core.retrieval.engines.edge.files`; `None` outside of rag_core's packages.

    In a layer the packages are one level deeper. `rag_core.answering` is a layer and a package at once.
    """
    names = module.split(".")
    depths = () if names[0] != "rag_core" else (3, 2) if names[1:2] and names[1] in LAYERS else (2,)
    packages = (".".join(names[:depth]) for depth in depths)
    return next((name for name in packages if name in sources() and sources()[name][0].name == "__init__.py"), None)


def defined(body: list[ast.stmt]) -> Iterator[str]:
    """What a module defines itself, at its top level or in an `if`, `try` or `with` of it."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        for name in ast.walk(node) if isinstance(node, ast.Assign | ast.AnnAssign) else ():
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                yield name.id
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from defined(node.body)


@cache
def offered(module: str) -> dict[str, str]:
    """What a package offers, and the module of each name: its `__init__.pyi`, which loads one when it is first used."""
    stub = ROOT.joinpath(*module.split("."), "__init__.pyi")
    if not stub.exists():
        return {}
    nodes = [node for node in ast.parse(stub.read_text("utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"{module}.{node.module or alias.name}" for node in nodes for alias in node.names}


@cache
def exported(module: str) -> set[str]:
    """Names that others may import from a module: what it defines and, of a package, what its `__init__` offers."""
    path, tree = sources()[module]
    names = set(defined(tree.body)) | {name.removeprefix(f"{module}.") for name in sources()} | set(offered(module))
    if path.name == "__init__.py":
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                names |= {alias.asname or alias.name for alias in node.names}
    return names


def test_a_name_is_imported_from_where_it_is_defined_or_from_the_api_of_a_package() -> None:
    passed_on = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.module} {sorted(foreign)}"
        for path, tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module in sources()
        and (foreign := {alias.name for alias in node.names} - exported(node.module))
    ]
    assert passed_on == []


def test_a_package_is_imported_from_its_api_and_not_from_inside() -> None:
    """But for the benchmarks, which measure insides, and packages in `rag_core.answering`, which use its modules."""
    inside = []
    for module, (path, tree) in sources().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or node.module is None or module.startswith("benchmarks."):
                continue
            package = package_of(node.module)
            if package is None or package == package_of(module) or node.module.startswith(SUB_APIS):
                continue
            if package == "rag_core.answering" and module.startswith(f"{package}."):
                continue
            if sources()[node.module][0].name != "__init__.py":
                inside.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.module}")
    assert inside == []


def imported(tree: ast.Module) -> Iterator[str]:
    """Modules of ours that are imported when the file is, not those inside functions or for types only."""
    bodies: list[list[ast.stmt]] = [tree.body]
    while bodies:
        for node in bodies.pop():
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    names = offered(node.module) if node.module in sources() else {}
                    yield names.get(alias.name) or (inner if inner in sources() else node.module)
            elif isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.If | ast.Try) and "TYPE_CHECKING" not in ast.unparse(node)[:20]:
                bodies.append(node.body)


def test_no_circle_of_imports_between_files() -> None:
    graph = {
        module: {name for name in imported(tree) if name in sources() and name != module}
        for module, (_, tree) in sources().items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


STUBS = [stub for package in PRODUCT for stub in sorted((ROOT / package).rglob("__init__.pyi"))]


@pytest.mark.parametrize("module", [module_of(stub) for stub in STUBS])
def test_what_a_package_offers_is_there(module: str) -> None:
    package = importlib.import_module(module)
    for name, place in offered(module).items():
        found = importlib.import_module(place)
        assert getattr(package, name) in (found, getattr(found, name, found))


SHARED_CLASS_NAMES = 20
"""Public class names of two classes or more. Lower it when one gets the name of its own concept; never raise it."""


def test_a_public_class_has_a_name_of_its_own() -> None:
    homes: dict[str, list[str]] = {}
    for module, (_, tree) in sources().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not module.startswith("benchmarks"):
                homes.setdefault(node.name, []).append(module)
    shared = {name: where for name, where in homes.items() if len(where) > 1}
    assert len(shared) <= SHARED_CLASS_NAMES, shared


def test_a_parser_process_starts_without_the_database_and_settings() -> None:
    """One starts for every crash, and its processor time is limited from the start."""
    assert {"sqlalchemy", "psycopg", "pydantic", "numpy"} & loaded_by(
        "rag_core.content.parsing.sandbox.worker"
    ) == set()


@pytest.mark.parametrize("program", ["query_server.__main__", "query_server.index_process", "ragctl.commands.stack"])
def test_a_program_that_people_wait_for_loads_what_it_needs_first(program: str) -> None:
    """SQLAlchemy and httpx are a third of the time that such a start takes; a thread loads them when they are used."""
    assert {"sqlalchemy", "psycopg", "httpx", "rag_core.ingestion.pipeline.run"} & loaded_by(program) == set()


def test_rows_of_sources_and_generations_are_read_without_numpy() -> None:
    """A tenth of a second of `rag source status`, which shows no vector."""
    assert {"numpy"} & loaded_by("rag_core.ingestion.generations.status_store") == set()


def loaded_by(module: str) -> set[str]:
    """The modules of a process that has imported one."""
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(loaded.stdout.split())


PACKAGES = (
    "rag_core", "rag_assets", "rag_clients", "rag_tracing", "ragctl", "query_server", "console", "interfaces",
    "benchmarks", "clients", "deploy", "scripts",
)  # fmt: skip
FORBIDDEN = {
    "eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "marshal.loads", "yaml.load", "torch.load",
    "ssl._create_unverified_context",
}  # fmt: skip
FORBIDDEN_WORDS = {name.partition(".")[0] for name in FORBIDDEN - {"os.system", "os.popen"}} | {"system", "popen"}

CALLERS = ("rag_core", "rag_assets", "query_server", "console", "interfaces", "ragctl")
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
        for package in CALLERS
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
