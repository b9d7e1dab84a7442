"""What the product takes from Dagster that Dagster does not publish: it may change with any version of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from tests.support.names import ROOT

TRIED_WITH = "1.13.27"
PRIVATE = re.compile(r"dagster(_\w+)?(\.\w+)*\._|dagster_webserver\.")
REASONS = {
    ("rag_assets/code_server.py", "dagster._grpc"): "the proxy asks its child three times a second and has no setting",
    ("rag_assets/launcher.py", "dagster._core.launcher"): "a run launcher is a subclass of one without a public name",
    ("rag_assets/launcher.py", "dagster._grpc.types"): "the argument of `dagster api execute_run`",
    (
        "rag_assets/launcher.py",
        "dagster._serdes",
    ): "what dagster.yaml names is a ConfigurableClass; to write the argument",
    ("rag_assets/webserver.py", "dagster._core.workspace"): "the webserver is made of one; the CLI makes no checks",
    ("rag_assets/webserver.py", "dagster_webserver.app"): "the webserver itself, to put our checks before it",
}
"""Why each is taken, and that it was tried with `TRIED_WITH`."""


def imports(path: Path) -> Iterator[str]:
    """The private modules that a file imports from, once for each statement."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if PRIVATE.match(f"{name}."))


def test_each_private_import_has_a_reason_and_there_are_six_at_most() -> None:
    packages = ("rag_core", "rag_assets", "query_server", "console", "interfaces", "ragctl", "rag_tracing")
    files = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    found = [(str(path.relative_to(ROOT)), name) for path in files for name in imports(path)]
    assert sorted(found) == sorted(REASONS)
    assert len(found) <= 6


def test_the_private_imports_were_tried_with_the_version_that_is_installed() -> None:
    """When this fails: run the tests of launcher and webserver with the new version, then write it above."""
    assert version("dagster") == version("dagster-webserver") == TRIED_WITH
