"""What the wheel of the platform holds, and what it says of what it leaves out."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.support.names import ROOT

_RUN = "import sys; sys.path[:0] = sys.argv[1:3]; from ragctl.app import run; sys.exit(run(sys.argv[3:]))"


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


def test_the_command_of_a_wheel_says_that_benchmarks_need_a_checkout(wheel: Path) -> None:
    # Without the files that put the checkout on the path.
    python = [sys.executable, "-I", "-S", "-c", _RUN, str(wheel), sysconfig.get_path("purelib")]
    done = subprocess.run(
        [*python, "bench", "query", "--chunks", "5"],
        cwd=wheel, env={**os.environ, "RAG_HOME": str(wheel)}, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "USAGE" in done.stderr
    assert "source checkout" in done.stderr
