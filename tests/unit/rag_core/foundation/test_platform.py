"""What differs between systems, as on Linux and by the fallbacks of the others (`RAG_PORTABLE=1`)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SYSTEMS = pytest.mark.parametrize("portable", [False, True], ids=["linux", "portable"])
IDENTITY = "from rag_core.platform import *\nimport os, signal, subprocess, sys, time\n"


def python(code: str, *, portable: bool) -> str:
    """What a program prints on such a system, also a process of its own that it leaves behind: until all have ended."""
    environment = {**os.environ, **({"RAG_PORTABLE": "1"} if portable else {})}
    command = [sys.executable, "-c", IDENTITY + code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout


@SYSTEMS
def test_memory_and_cores_are_known(portable: bool) -> None:
    code = "held = bytearray(100 << 20)\nprint(resident_bytes(), resident_bytes(2 ** 22 + 1), usable_cores())"
    resident, gone, cores = python(code, portable=portable).split()
    assert 100 << 20 < int(resident) < 400 << 20
    assert (gone, int(cores) >= 1) == ("None", True)


@SYSTEMS
def test_a_process_ends_with_its_parent_however_that_ends(portable: bool) -> None:
    """The child holds the error stream that is read here: reading ends when it has ended."""
    child = IDENTITY + "end_with_parent(signal.SIGKILL)\nprint('ready', flush=True)\ntime.sleep(600)"
    code = f"""
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
print(child.stdout.read(5))
sys.stdout.flush()
os._exit(0)
"""
    assert "ready" in python(code, portable=portable)


SANDBOX = """
from rag_core.content.parsing import ParseLimits
from rag_core.content.parsing.sandbox.pool import SandboxPool
from rag_core.errors import InvalidInput
pool = SandboxPool(workers=1, memory_mb=256, timeout_seconds=60)
def read(content, name):
    try:
        return pool.parse(content, name=name, media_type=None, limits=ParseLimits()).title
    except InvalidInput as refused:
        return refused.reason
print(read(b"# Hello\\n\\nworld", "a.md"), read(b"[" + b'"abcd",' * 5_000_000 + b'"x"]', "a.json"),
      read(b"# Again\\n\\nworld", "a.md"))
pool.close()
"""


def test_a_parser_without_a_limit_of_the_kernel_ends_before_it_takes_the_memory_of_others() -> None:
    assert python(SANDBOX, portable=True).split() == ["Hello", "PARSER_OOM", "Again"]


LINKED = """
import pathlib, tempfile
from rag_core.files import open_resolved
folder = pathlib.Path(tempfile.mkdtemp()).resolve()
(folder / "real").write_text("content")
(folder / "link").symlink_to("real")
fd = open_resolved(folder / "link", os.O_RDONLY, lambda path: print(path.name))
print(os.read(fd, 100).decode())
def swap(path):
    path.unlink()
    path.symlink_to("elsewhere")
try:
    open_resolved(folder / "real", OPEN_PATH, swap)
except OSError as error:
    print(error.errno)
"""


@SYSTEMS
def test_a_file_is_opened_where_its_path_was_accepted_and_nowhere_else(portable: bool) -> None:
    import errno

    assert python(LINKED, portable=portable).split() == ["real", "content", str(errno.ELOOP)]


def test_a_run_starts_and_is_recorded_where_nothing_may_fork() -> None:
    code = """
from rag_assets.run_processes import RunProcesses
runs = RunProcesses()
with runs.start("job", ["--version"]) as first, runs.start("job", ["--version"]) as second:
    first.go()
    first.ended.wait()
second.ended.wait()
print(first.code, second.code, first.seconds > 0)
"""
    *_, last = python(code, portable=True).splitlines()
    assert last.split() == ["0", "75", "True"]
