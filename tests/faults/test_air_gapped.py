"""docs/how-to/install-without-a-network.md, step by step: the second half in a network that has no routes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.names import ROOT

pytestmark = [
    pytest.mark.faults,
    pytest.mark.root,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"),
]
PAGE = (ROOT / "docs/how-to/install-without-a-network.md").read_text("utf-8")
MAKE, INSTALL = re.findall(r"(?ms)^```sh\n(.*?)^```", PAGE)
"""The page's commands on the machine that has a network, and on the one that has none."""
INSIDE = """
ip link set lo up
! timeout 5 bash -c '</dev/tcp/1.1.1.1/443' 2>/dev/null
"""
ASK = """
.venv/bin/rag query --search "oil of the pump" | grep "Pump 7"
.venv/bin/rag verify
"""


def run(script: str, folder: Path, *before: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | environment
    command = [*before, "bash", "-euxc", script]
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder on the other machine that both files were carried to."""
    folder = tmp_path_factory.mktemp("bundle")
    subprocess.run(["git", "clone", "--quiet", ROOT, folder / "checkout"], check=True)
    index = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))}
    made = run(MAKE, folder / "checkout", **index)
    if "No matching distribution" in made.stderr or "Could not find a version" in made.stderr:
        pytest.skip("needs a package index")
    assert made.returncode == 0, made.stderr[-3000:]
    for path in (folder / "checkout" / "dist").iterdir():
        shutil.move(path, folder / path.name)
    return folder


def test_the_archive_installs_and_answers_where_there_is_no_network(carried: Path) -> None:
    docs = carried / "docs"
    docs.mkdir()
    (docs / "pump.md").write_text("# Pump 7\n\nPump 7 needs oil every five days.\n", "utf-8")
    environment = {"RAG_HOME": str(carried / "home"), "DOCS": str(docs), "HOME": str(carried)}
    try:
        result = run(INSIDE + INSTALL + ASK, carried, "unshare", "--net", **environment)
        assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    finally:
        for checkout in carried.glob("rag-platform-*/.venv"):
            run("make down", checkout.parent, RAG_HOME=environment["RAG_HOME"])


def test_a_changed_wheel_stops_the_installation_and_is_named(carried: Path) -> None:
    run("mkdir -p copy && tar xf rag-platform-*.tar -C copy --strip-components 1", carried)
    wheel = min((carried / "copy" / "bundle" / "wheels").iterdir())
    wheel.write_bytes(wheel.read_bytes() + b"x")
    result = run("make setup BUNDLE=bundle", carried / "copy")
    assert result.returncode != 0
    assert f"./wheels/{wheel.name}: FAILED" in result.stdout + result.stderr
