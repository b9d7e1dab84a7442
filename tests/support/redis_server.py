"""A Redis or Valkey of its own: Debian's `redis-server` or `valkey-server`, or the one at `RAG_TEST_REDIS`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.waiting import eventually


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Its URL. Skips the test where there is none."""
    if given := os.environ.get("RAG_TEST_REDIS"):
        yield given
        return
    with own_redis_server(folder, free_port()) as url:
        yield url


@contextmanager
def own_redis_server(folder: Path, port: int) -> Iterator[str]:
    """One that the test may stop and start again at its port. Skips the test where no program of it is installed."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("needs Redis or Valkey: RAG_TEST_REDIS=redis://host:6379/0, or Debian's redis-server")
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    process = subprocess.Popen(
        [program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent
    )
    try:
        assert eventually(lambda: process.poll() is None and _listens(port), seconds=30)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
