"""docs/how-to/install.md: the wheel alone, in the home of a fresh user and a folder that holds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.local_stack import LocalStack
from tests.support.names import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
UV = str(Path(sys.executable).with_name("uv"))


def uv(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": os.environ["PATH"], "UV_OFFLINE": "1", "UV_LINK_MODE": "hardlink", **environment}
    return subprocess.run([UV, *arguments], env=own, capture_output=True, text=True, check=False)


@dataclass
class InstalledStack(LocalStack):
    """A stack of the command that `uv tool install` put into the home of a user."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.user = self.folder / "user"
        self.user.mkdir()
        self.command = str(self.user / ".local" / "bin" / "rag")
        kept = {"HOME": str(self.user), "PATH": "/usr/bin:/bin"}
        self.environment = {name: text for name, text in self.environment.items() if name.startswith("RAG_")} | kept


@pytest.fixture
def stack() -> Iterator[InstalledStack]:
    stack = InstalledStack()
    yield stack
    stack.close()


def install(stack: InstalledStack, folder: Path) -> None:
    """Install the wheel without a network, from the packages that this machine has fetched before."""
    given = [f"BIN={Path(sys.executable).parent}", f"DIST={folder}"]
    subprocess.run(["make", "--silent", "-o", ".venv/.runtime", "wheel", *given], cwd=ROOT, check=True, timeout=110)
    [wheel] = folder.glob("rag_platform-*.whl")
    cache = subprocess.run([UV, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    done = uv("tool", "install", "--python", sys.executable, str(wheel), HOME=str(stack.user), UV_CACHE_DIR=cache)
    if "network was disabled" in done.stderr:
        pytest.skip("the cache of uv does not hold every wheel: install once with a network")
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_wheel_alone_is_a_stack_that_answers(stack: InstalledStack, tmp_path: Path) -> None:
    install(stack, tmp_path)
    (stack.docs / "pump.md").write_text("# Pump 7\n\nPump 7 needs oil every five days.\n", "utf-8")
    code, printed = stack.rag("up", "--docs", str(stack.docs), seconds=1200)
    assert code == 0, printed
    assert printed["ingest"] == {"docs": "SUCCESS"}
    code, answer = stack.rag("query", "How often does pump 7 need oil?")
    assert code == 0, answer
    assert "five days" in str(answer)
    assert stack.rag("status")[1]["healthy"]
    code, checks = stack.rag("doctor")
    assert code == 0, checks
    assert {one["name"]: one["state"] for one in checks}["versions"] == "ok"
    assert stack.rag("bench", "query")[0] == 2  # needs a checkout
