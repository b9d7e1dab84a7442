"""What a log line says of an exception: where and of which kind, nothing that was in scope and nothing it quotes."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rag_core.logging
from rag_core.errors import NotFound, Reason
from rag_core.logging import configure_logging, format_exception, get_logger

ROOT = Path(__file__).parents[2]
CANARY = "canary-4711"


def _fail(text: str) -> None:
    secret = f"{text} in a local variable"
    raise ValueError(f"invalid literal: {secret}")


def _failed() -> BaseException:
    try:
        _fail(CANARY)
    except ValueError as error:
        return error
    raise AssertionError


def test_an_exception_is_written_with_its_type_and_place_and_without_its_text() -> None:
    shown = format_exception(_failed())
    assert shown.splitlines()[0] == "ValueError"
    assert re.search(r"test_logging\.py:\d+ _fail$", shown, re.MULTILINE)
    assert CANARY not in shown


def test_the_text_of_a_typed_error_is_kept_and_that_of_its_cause_is_not() -> None:
    error = NotFound(Reason.DOCUMENT_NOT_FOUND, "document: not found")
    error.__cause__ = _failed()
    shown = format_exception(error)
    assert "document: not found" in shown
    assert "\nValueError\n" in shown
    assert CANARY not in shown


def test_groups_and_circles_of_causes_are_written_once() -> None:
    first, second = _failed(), KeyError(CANARY)
    first.__cause__, second.__cause__ = second, first
    shown = format_exception(BaseExceptionGroup("several", [first, second]))
    assert shown.count("ValueError") == shown.count("KeyError") == 2  # as members, and as causes of each other
    assert CANARY not in shown


def test_a_logger_of_a_process_that_configured_nothing_prints_no_local_variable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rag_core.logging.use_safe_defaults()
    try:
        _fail(CANARY)
    except ValueError:
        get_logger("rag.test").exception("failed")
    shown = capsys.readouterr()
    assert not shown.out
    assert "ValueError" in shown.err
    assert CANARY not in shown.err


@pytest.mark.parametrize("json", ["True", "False"])
def test_no_log_of_a_configured_process_quotes_an_exception(json: str) -> None:
    program = f"""
import asyncio, logging, threading
from rag_core.logging import configure_logging, get_logger, log_loop_errors

def fail(text):
    local = text * 2
    raise ValueError(local)

def caught(log):
    try:
        fail("canary-" + "4711")
    except ValueError:
        log("failed", exc_info=True)

configure_logging(json={json})
caught(get_logger("rag.ours").error)
caught(logging.getLogger("a.library").error)
thread = threading.Thread(target=fail, args=("canary-" + "4711",))
thread.start()
thread.join()

async def forgotten():
    log_loop_errors(asyncio.get_running_loop())
    task = asyncio.create_task(asyncio.to_thread(fail, "canary-" + "4711"))
    await asyncio.wait([task])
    del task

asyncio.run(forgotten())
fail("canary-" + "4711")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("ValueError") == 5
    assert CANARY not in done.stdout + done.stderr


def test_records_of_the_standard_library_are_safe_for_any_handler() -> None:
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    log = logging.getLogger("dagster.test")
    log.addHandler(handler := Collect())
    try:
        _fail(CANARY)
    except ValueError:
        log.exception("failed")
    finally:
        log.removeHandler(handler)
    assert "ValueError" in lines[0]
    assert CANARY not in lines[0]


def test_every_logger_comes_from_the_module_that_keeps_content_out() -> None:
    packages = ("rag_core", "rag_assets", "query_server", "ragctl", "console", "benchmarks")
    found = [
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"structlog\.(get_logger|stdlib\.get_logger|dev\.|processors\.)", path.read_text("utf-8"))
    ]
    assert found == ["rag_core/logging.py"]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """`configure_logging` changes the process."""
    root, hooks = logging.getLogger(), (sys.excepthook,)
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    (sys.excepthook,) = hooks


def test_configuring_twice_leaves_one_handler() -> None:
    configure_logging(json=True)
    configure_logging(json=True)
    assert len(logging.getLogger().handlers) == 1
    rag_core.logging.use_safe_defaults()


def test_logging_loads_no_library_for_tracebacks_and_leaves_it_to_others() -> None:
    code = "import sys, rag_core.logging; assert 'rich' not in sys.modules; import rich.console"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
