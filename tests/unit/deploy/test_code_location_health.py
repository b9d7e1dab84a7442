"""The check of the code location in a container, against Dagster's own code server."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from rag_core.errors import Unavailable
from ragctl.container.health import check
from tests.support.postgres import die_with_parent

GOOD = "import dagster as dg\n\ndefs = dg.Definitions()\n"
BROKEN = "raise FileNotFoundError('Service token file does not exist')\n"


@pytest.mark.parametrize(("code", "said"), [(GOOD, ""), (BROKEN, "could not be loaded")], ids=["good", "broken"])
def test_a_code_server_that_answers_but_could_not_load_its_code_is_not_healthy(
    code: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "location.py").write_text(code)
    port = str(free_port())
    monkeypatch.setenv("RAG_CODE_LOCATION_PORT", port)
    where = ["-h", "127.0.0.1", "-p", port, "-f", str(tmp_path / "location.py")]
    command = [sys.executable, "-P", "-m", "dagster", "code-server", "start", *where]
    log = (tmp_path / "log").open("wb")
    server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log, preexec_fn=die_with_parent)
    try:
        found = _said(server)
    finally:
        server.terminate()
        server.wait(30)
        log.close()
    assert (said in found) if said else not found


def _said(server: subprocess.Popen[bytes]) -> str:
    """What the check finds wrong as soon as the server answers; nothing when it is healthy."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert server.poll() is None
        try:
            check("dagster-code")
        except Unavailable as error:
            if "does not answer" not in error.message:
                return error.message
        else:
            return ""
        time.sleep(0.2)
    pytest.fail("the code server does not answer")
