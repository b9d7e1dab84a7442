from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import psutil
import pytest

from rag_core.content.parsing import Block, BlockKind, ParsedDocument, ParseLimits, open_parser
from rag_core.content.parsing.blocks import to_rows
from rag_core.content.parsing.parse import parse
from rag_core.content.parsing.sandbox import frames
from rag_core.content.parsing.sandbox.pool import SandboxPool
from rag_core.content.sources import FetchedItem, SourceItem
from rag_core.errors import InvalidInput, Reason, Unavailable
from rag_core.platform import LINUX, PORTABLE_VARIABLE
from rag_core.settings import Settings
from tests.support.waiting import run_together
from tests.unit.rag_core.content.parsing import builders

LIMITS = ParseLimits()
HELLO = b"# Hello\n\nworld"
# Made by the test that reads them: every worker imports this file, and few run these tests.
HOSTILE: dict[str, tuple[Callable[[], bytes], str, Reason]] = {
    "b41": (lambda: builders.zip_of([("a.txt", bytes(64 * 2**20))]), "a.docx", Reason.ARCHIVE_BOMB),
    "b42": (lambda: builders.zip_of([("../a", b"x")]), "a.docx", Reason.ARCHIVE_PATH),
    "b43": (lambda: builders.pdf(user_password="secret"), "a.pdf", Reason.ENCRYPTED),
    "b44": (lambda: builders.pdf_of(builders.inflating(100)), "a.pdf", Reason.PDF_LIMIT),
    "b47": (
        lambda: builders.with_member(
            builders.word(), "[Content_Types].xml", lambda xml: xml.replace(b"?>", b"?>" + builders.DTD, 1)
        ),
        "a.docx",
        Reason.XML_DTD_FORBIDDEN,
    ),
    "b48": (lambda: builders.png(65_000, 65_000), "a.png", Reason.IMAGE_BOMB),
    "mismatch": (lambda: b"%PDF-1.7 but no more", "a.pdf", Reason.PARSE_FAILED),
}


def slow() -> bytes:
    """Seconds of work for the Markdown parser."""
    return b"".join(b" " * (number % 190) + b"- x\n" for number in range(160_000))


def read(pool: SandboxPool, content: bytes, name: str = "a.md") -> ParsedDocument:
    return pool.parse(content, name=name, media_type=None, limits=LIMITS)


def reason(pool: SandboxPool, content: bytes, name: str = "a.md") -> Reason:
    with pytest.raises(InvalidInput) as raised:
        read(pool, content, name)
    return raised.value.reason


@pytest.fixture
def small() -> Iterator[SandboxPool]:
    """Little memory and little time."""
    pool = SandboxPool(workers=1, memory_mb=256, timeout_seconds=60)
    yield pool
    pool.close()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (HELLO, "a.md"),
        (builders.word(hidden="secret"), "a.docx"),
        (builders.slides(), "a.pptx"),
        (builders.workbook(), "a.xlsx"),
        (builders.pdf(), "a.pdf"),
        ("中文 \U0001f600 text".encode(), "a.html"),
        (b"<dl><dt>copy<dd><p>Copies:<pre>cp a b</pre><p>Slow.</dl>", "a.html"),
        (b"a,b\n1,2,3\n1,2\n3,4", "a.csv"),
    ],
)
def test_a_sandboxed_parse_gives_the_same_document(sandbox: SandboxPool, content: bytes, name: str) -> None:
    assert read(sandbox, content, name) == parse(content, name=name, media_type=None, limits=LIMITS)


@pytest.mark.catalogue("S37")
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_documents_are_refused_and_the_worker_lives(sandbox: SandboxPool, case: str) -> None:
    read(sandbox, HELLO)
    before = sandbox.pids()
    content, name, expected = HOSTILE[case]
    assert reason(sandbox, content(), name) is expected
    assert sandbox.pids() == before
    assert read(sandbox, HELLO).title == "Hello"


@pytest.mark.catalogue("S37")
def test_a_document_that_takes_too_long_is_stopped_and_the_next_one_read() -> None:
    pool = SandboxPool(workers=1, memory_mb=1024, timeout_seconds=3)
    assert reason(pool, slow()) is Reason.PARSER_TIMEOUT
    assert pool.pids() == []
    assert read(pool, HELLO).title == "Hello"
    pool.close()


@pytest.mark.catalogue("F53")
def test_a_document_that_needs_too_much_memory_is_the_only_one_to_fail(small: SandboxPool) -> None:
    assert read(small, HELLO).title == "Hello"
    eight_times_its_size_in_memory = b"[" + b'"abcd",' * 5_000_000 + b'"x"]'
    assert reason(small, eight_times_its_size_in_memory, "a.json") is Reason.PARSER_OOM
    assert read(small, HELLO).title == "Hello"


@pytest.mark.catalogue("F11")
@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (signal.SIGSEGV, Reason.PARSER_CRASHED),
        (signal.SIGKILL, Reason.PARSER_OOM),
        (signal.SIGXCPU, Reason.PARSER_TIMEOUT),
    ],
)
def test_a_worker_that_dies_at_work_costs_its_document_only(number: signal.Signals, expected: Reason) -> None:
    pool = SandboxPool(workers=1, memory_mb=1024, timeout_seconds=30)
    found, content = list[Reason](), slow()
    thread = threading.Thread(target=lambda: found.append(reason(pool, content)))
    known = {child.pid for child in psutil.Process().children()}
    thread.start()
    worker = _wait_for_work(known)
    os.kill(worker.pid, number)
    thread.join()
    assert found == [expected]
    assert read(pool, HELLO).title == "Hello"
    pool.close()


def _wait_for_work(known: set[int]) -> psutil.Process:
    """The new worker once it has read its request and works on it."""
    waited = threading.Event()
    for _ in range(3000):
        for child in psutil.Process().children():
            if child.pid not in known and child.cpu_times().user > 0.6:
                return child
        waited.wait(0.01)
    raise AssertionError("no worker started")


@pytest.mark.catalogue("F11")
def test_a_worker_killed_between_documents_is_replaced(sandbox: SandboxPool) -> None:
    """Embedding has no child processes; the parsers' are the only ones of a run."""
    read(sandbox, HELLO)
    (pid,) = sandbox.pids()
    worker = psutil.Process(pid)
    worker.kill()
    worker.wait()
    assert read(sandbox, HELLO).title == "Hello"
    assert sandbox.pids() != [pid]


def test_a_worker_is_recycled_after_a_number_of_documents() -> None:
    pool = SandboxPool(workers=1, memory_mb=512, timeout_seconds=30, recycle_after=2)
    seen = []
    for _ in range(4):
        read(pool, HELLO)
        seen.append(tuple(pool.pids()))
    assert seen[1] == ()
    assert seen[3] == ()
    assert seen[0] != seen[2]
    pool.close()


def test_threads_share_the_pool_within_its_size() -> None:
    pool = SandboxPool(workers=2, memory_mb=512, timeout_seconds=60)
    documents: list[ParsedDocument] = []
    run_together(threading.Thread(target=lambda: documents.append(read(pool, HELLO))) for _ in range(12))
    assert len(documents) == 12
    assert len(pool.pids()) <= 2
    pool.close()


def test_close_ends_the_processes_and_a_later_parse_starts_again() -> None:
    pool = SandboxPool(workers=1, memory_mb=512, timeout_seconds=30)
    read(pool, HELLO)
    (pid,) = pool.pids()
    pool.close()
    pool.close()
    assert not psutil.pid_exists(pid)
    assert read(pool, HELLO).title == "Hello"
    pool.close()


def test_a_sandbox_that_cannot_start_is_unavailable_not_the_document_s_fault() -> None:
    pool = SandboxPool(workers=1, memory_mb=20, timeout_seconds=5)
    with pytest.raises(Unavailable) as raised:
        read(pool, HELLO)
    assert raised.value.reason is Reason.PARSER_UNAVAILABLE


CONFINED = """
import os, socket, sys
from rag_core.content.parsing.sandbox import confine, worker
confine.limit_resources(512)
done = confine.drop_access(worker._readable())
def allowed(action):
    try:
        action()
    except OSError:
        return False
    return True
def connect():
    with socket.socket() as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", int(sys.argv[1])))
print(done["network"], done["files"], allowed(connect), allowed(lambda: open(sys.argv[2]).close()),
      allowed(lambda: open(sys.argv[3], "w").write("x")), allowed(lambda: open(os.__file__).close()))
"""


@pytest.mark.catalogue("S37")
def test_a_confined_process_has_no_network_and_no_files(tmp_path: os.PathLike[str]) -> None:
    import socket

    secret = os.path.join(tmp_path, "secret")  # noqa: PTH118
    with open(secret, "w") as file:  # noqa: PTH123
        file.write("key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = [str(server.getsockname()[1]), secret, os.path.join(tmp_path, "new")]  # noqa: PTH118
        result = subprocess.run(
            [sys.executable, "-c", CONFINED, *arguments], capture_output=True, text=True, check=True, timeout=60
        )
    network_dropped, files_dropped, connects, reads, writes, imports = result.stdout.split()
    if network_dropped == "True":
        assert connects == "False"
    if files_dropped == "True":
        assert reads == "False"
    assert writes == "False"
    assert imports == "True"


@pytest.mark.catalogue("S37")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a worker closes its own /proc entries to everyone else")
def test_a_worker_gets_no_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_INDEX_SECRET", "x" * 40)
    pool = SandboxPool(workers=1, memory_mb=512, timeout_seconds=30)
    read(pool, HELLO)
    (pid,) = pool.pids()
    with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
        names = {entry.split(b"=")[0] for entry in file.read().split(b"\0") if entry}
    pool.close()
    given = {b"PYTHONPATH", b"LANG", b"PATH", b"OPENBLAS_NUM_THREADS", b"LC_CTYPE"}
    assert names <= given | (set() if LINUX else {PORTABLE_VARIABLE.encode()})


TERM_TOO_LONG = "x" * 301


def said(**fields: object) -> bytes:
    """The header of an answer about `text`, as a worker writes it."""
    usual = {"media_type": "text/plain", "title": "", "language": "", "blocks": [], "metadata": {}, "flags": []}
    return json.dumps(usual | fields).encode()


def rows(*blocks: Block) -> object:
    return to_rows(blocks)


def test_an_answer_is_read() -> None:
    described = Block(BlockKind.DEFINITIONS, 0, 4, header="a term")
    assert frames.decode_response(said(blocks=rows(described)), b"text", LIMITS).blocks == (described,)


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (b"not json", b""),
        (b'{"reason": "DATABASE_UNAVAILABLE", "message": "x"}', b""),
        (b'{"reason": "NO_SUCH", "message": "x"}', b""),
        (b'{"media_type": "text/plain"}', b"text"),
        (said(media_type="evil"), b"text"),
        (said(blocks=[["code", 0, 1, 0]]), b"text"),
        (said(blocks=rows(Block(BlockKind.PARAGRAPH, 0, 99))), b"text"),
        (said(blocks=rows(Block(BlockKind.CODE, 2, 3), Block(BlockKind.CODE, 0, 1))), b"text"),
        (said(blocks=rows(Block(BlockKind.CODE, 0, 4, language="two\nlines"))), b"text"),
        (said(blocks=rows(Block(BlockKind.PARAGRAPH, 0, 4, header="a term"))), b"text"),
        (said(blocks=rows(Block(BlockKind.DEFINITIONS, 0, 4, header="two\nlines"))), b"text"),
        (said(blocks=rows(Block(BlockKind.DEFINITIONS, 0, 4, header=TERM_TOO_LONG))), b"text"),
        (said(blocks=rows(Block(BlockKind.PARAGRAPH, 0, 4, path=("a heading",)))), b"text"),
        (said(), b"nul\0"),
        (said(), b"\xff"),
        *[
            (said(links=links), b"text")
            for links in (1, [[0, 9, "a"]], [[2, 3, "a"], [0, 1, "a"]], [[0, 1, "javascript:x"]], [[0, 1, "a\nb"]])
        ],
    ],
)
def test_answers_of_a_taken_over_worker_are_not_believed(header: bytes, payload: bytes) -> None:
    with pytest.raises(frames.FrameError):
        frames.decode_response(header, payload, LIMITS)


def raw(content: bytes, locator: str, **fields: object) -> FetchedItem:
    return FetchedItem(SourceItem(locator, "token"), content, **fields)  # type: ignore[arg-type]


def test_parser_reads_text_here_and_all_else_in_the_sandbox(tmp_path: os.PathLike[str]) -> None:
    parser = open_parser(Settings(home=tmp_path))
    before = set(psutil.Process().children())
    assert parser.parse(raw(b"words", "notes.txt")).text == "words"
    assert set(psutil.Process().children()) == before
    document = parser.parse(raw(HELLO, "a.md", title="From the source", metadata={"team": "ops"}))
    assert len(set(psutil.Process().children()) - before) == 1
    assert document.title == "From the source"
    assert document.metadata == {"team": "ops"}
    parser.close()
    assert set(psutil.Process().children()) == before


@pytest.mark.catalogue("F07")
def test_a_document_that_cannot_be_parsed_always_gives_its_reason(tmp_path: os.PathLike[str]) -> None:
    parser = open_parser(Settings(home=tmp_path))
    poison = raw(b"%PDF-1.7 broken", "a.pdf")
    for _ in range(3):
        with pytest.raises(InvalidInput) as raised:
            parser.parse(poison)
        assert raised.value.reason is Reason.PARSE_FAILED
    assert parser.parse(raw(builders.pdf(), "b.pdf")).media_type == "application/pdf"
    parser.close()


def test_parser_fingerprint_follows_what_can_change_a_document(tmp_path: os.PathLike[str]) -> None:
    settings = Settings(home=tmp_path)
    same = settings.model_copy(update={"parser_workers": 7, "parser_timeout_seconds": 5})
    other = settings.model_copy(update={"max_text_chars": 5})
    assert open_parser(settings).fingerprint == open_parser(same).fingerprint
    assert open_parser(settings).fingerprint != open_parser(other).fingerprint
