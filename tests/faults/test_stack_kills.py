"""The whole stack under kills, a halt and a power cut: whatever ends and whenever, it converges with no manual step."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.local_stack import LocalStack, temporary_folder
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

KILLS = 30
DOCUMENTS = 400
FEW = 320
"""More than a stream worker brings in without a run."""
WORDS = (
    "index",
    "vector",
    "tenant",
    "lease",
    "offset",
    "shard",
    "quorum",
    "cursor",
    "索引",
    "向量",
    "租户",
    "权限",
    "副本",
)


@pytest.fixture
def stack() -> Iterator[LocalStack]:
    stack = LocalStack()
    yield stack
    stack.close()


def write(docs: Path, number: int, revision: int, chance: random.Random) -> None:
    """A document of a few paragraphs whose text says which revision it is."""
    paragraphs = [" ".join(chance.choices(WORDS, k=90)) + "." for _ in range(4)]
    text = f"# Document {number}\n\nRevision {revision} of document {number}.\n\n" + "\n\n".join(paragraphs)
    target = docs / f"{number:04}.md"
    target.with_suffix(".tmp").write_text(text, "utf-8")
    target.with_suffix(".tmp").rename(target)


def kill(stack: LocalStack, target: str) -> bool:
    """SIGKILL a part or a run worker. False when there was none to kill."""
    if target == "run-worker":
        processes = stack.run_workers()
    else:
        pid = stack.pid(target)
        processes = [psutil.Process(pid)] if pid else []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return bool(processes)


@pytest.mark.catalogue("F01", "F02", "F16", "F25")
def test_thirty_random_kills_in_an_ingest_leave_nothing_wrong(stack: LocalStack) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for number in range(DOCUMENTS):
        write(stack.docs, number, 0, chance)
    stack.up()
    kills = 0
    while kills < KILLS:
        time.sleep(chance.uniform(0.2, 4.0))  # the moment of a kill is the random input of this test
        if not stack.run_workers():
            for number in chance.sample(range(DOCUMENTS), 40):
                write(stack.docs, number, kills + 1, chance)
            stack.rag("source", "sync", "--no-wait")
            continue
        kills += kill(stack, chance.choice(("run-worker", "query-server", "postgres")))
    settle(stack)
    code, report = stack.rag("verify")
    assert code == 0, report


@pytest.mark.catalogue("F15")
def test_a_database_that_stands_still_for_half_a_minute_ends_no_run_and_loses_nothing(stack: LocalStack) -> None:
    fill(stack, random.Random(15))
    pid = stack.pid("postgres")
    assert pid is not None
    server = psutil.Process(pid)
    halted = [server, *server.children(recursive=True)]
    for process in halted:
        process.suspend()
    time.sleep(30)  # how long it lasts is the fault itself
    for process in halted:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    settle(stack)
    results = [entry["result"] for entry in stack.rag("source", "history", "docs")[1]]
    assert f"{FEW} added" in results, "one run found all of them: the one that was held up"
    code, report = stack.rag("verify")
    assert code == 0, report


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system in a file, mounted where the stack keeps its data."""
    folder = temporary_folder()
    (folder / "home").mkdir()
    subprocess.run(["truncate", "-s", "3G", folder / "disk"], check=True)
    subprocess.run(["mkfs.ext4", "-q", folder / "disk"], check=True)
    subprocess.run(["mount", "-o", "loop", folder / "disk", folder / "home"], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder / "home"], check=True)


@pytest.mark.catalogue("F30")
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_power_cut_in_an_ingest_loses_nothing_that_was_acknowledged(disk: Path) -> None:
    """What was not yet on the disk is gone: the copy of the file system is made while nothing of the stack moves."""
    stack = LocalStack(disk)
    try:
        fill(stack, random.Random(30))
        note = stack.folder / "note.md"
        note.write_text("# Note\n\nThe gate closes at ten.\n", "utf-8")
        kept = [
            stack.rag("documents", "put", str(note), "--acl", "everyone", "--locator", f"{number}.md")
            for number in range(5)
        ]
        assert {code for code, _ in kept} == {0}, kept
        running = stack.freeze()
        subprocess.run(["cp", "--sparse=always", disk / "disk", disk / "copy"], check=True)
        for process in running:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(running, 30)
        subprocess.run(["umount", disk / "home"], check=True)
        (disk / "copy").rename(disk / "disk")
        subprocess.run(["mount", "-o", "loop", disk / "disk", disk / "home"], check=True)
        stack.up()
        settle(stack)
        ids = [document["doc_id"] for _, document in kept]
        assert eventually(lambda: all(stack.rag("documents", "get", known)[0] == 0 for known in ids))
        code, report = stack.rag("verify")
        assert code == 0, report
    finally:
        stack.close()


def fill(stack: LocalStack, chance: random.Random) -> None:
    """Start the stack and wait until a run works on its documents, which takes it longer than the fault."""
    for number in range(FEW):
        write(stack.docs, number, 0, chance)
    stack.up()
    assert eventually(stack.run_workers, seconds=600), "no run began"


def settle(stack: LocalStack) -> None:
    """Wait for the stack to be healthy, for what was running to end, and for one undisturbed run."""
    deadline = time.monotonic() + 1800
    while time.monotonic() < deadline:
        healthy = stack.rag("status")[0] == 0
        if healthy and not stack.run_workers() and stack.rag("source", "sync", seconds=400)[0] == 0:
            return
        time.sleep(2)  # polling a whole stack from outside; there is no event to wait for
    raise AssertionError(stack.rag("status")[1])


@pytest.mark.catalogue("F35")
def test_an_index_process_that_hangs_is_started_again_by_itself() -> None:
    stack = LocalStack(extra={"EMBEDDER": "fake", "HANG_SECONDS": "5"})
    try:
        (stack.docs / "bell.md").write_text("# Bell\n\nThe bell rings at nine.\n", "utf-8")
        assert stack.rag("up", "--docs", str(stack.docs))[0] == 0
        assert "bell.md" in str(stack.rag("query", "when does the bell ring?", "--search"))
        hung = stack.pid("index")
        assert hung is not None
        psutil.Process(hung).suspend()
        began = time.monotonic()
        deadline = began + 600
        while "bell.md" not in str(stack.rag("query", "when does the bell ring?", "--search")):
            assert time.monotonic() < deadline, stack.rag("status")[1]
            time.sleep(0.2)  # polling a whole stack from outside; there is no event to wait for
        print(f"answered {time.monotonic() - began:.1f} s after SIGSTOP with RAG_HANG_SECONDS=5")
        assert stack.pid("index") != hung
    finally:
        stack.close()
