"""The `rag` command: its subcommands, and errors as one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from cyclopts import App, CycloptsError

from rag_core.errors import ConfigError, RagError, Reason
from ragctl.commands import (
    account,
    audit,
    deploy,
    documents,
    evaluate_questions,
    gateway,
    index_generations,
    key,
    quarantine,
    query,
    secret,
    source,
    stack,
    stream,
    token,
    verify,
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def _version() -> str:
    try:
        return version("rag-platform")
    except PackageNotFoundError:
        return "unknown"


app = App(
    name="rag",
    help="Run and operate the RAG platform on one machine.\n\n"
    "Settings are RAG_* variables (docs/reference/settings.md). Failures print `rag: REASON: message` and exit with 1, "
    "wrong usage or configuration with 2.",
    help_format="plaintext",
    version=_version,
    result_action="return_value",
)

# The modules of `ragctl.commands` import heavy libraries only when a command runs.
for _command in (stack.up, stack.down, stack.status, query.query, verify.verify):
    app.command(_command)
_CONTENT = (source.app, documents.app, stream.app, quarantine.app, index_generations.app)
for _group in (
    *_CONTENT,
    evaluate_questions.app,
    account.app,
    token.app,
    key.app,
    secret.app,
    audit.app,
    gateway.app,
    deploy.app,
):
    app.command(_group)
app.command("benchmarks.cli:app", name="bench", help="Measure this installation (needs a source checkout).")


def run(tokens: Sequence[str]) -> int:
    """Run one command line and return its exit code. Errors become one line on standard error."""
    try:
        result = app(list(tokens), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _fail(Reason.USAGE, _one_line(str(error)), EXIT_USAGE)
    except ConfigError as error:
        return _fail(error.reason, error.message, EXIT_USAGE)
    except RagError as error:
        return _fail(error.reason, error.message, EXIT_FAILED)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has enough. Keep the interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        return _defect(error)
    return result if isinstance(result, int) else 0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def _defect(error: Exception) -> int:
    """Report an unexpected exception: its location, without the values involved."""
    from rag_core.logging import format_exception

    print(format_exception(error), file=sys.stderr)
    return _fail(Reason.INTERNAL, f"{type(error).__name__}: a defect; the lines above name its place", EXIT_FAILED)


def _fail(reason: Reason, message: str, code: int) -> int:
    print(f"rag: {reason}: {_one_line(message)}", file=sys.stderr)
    return code


def _one_line(text: str) -> str:
    return " ".join(text.split())
