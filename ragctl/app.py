"""The `rag` command: its subcommands, and errors as one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from cyclopts import App, CycloptsError, Group, UnusedCliTokensError

from rag_core.errors import InvalidInput, RagError, Reason
from rag_core.exit_codes import exit_code
from rag_core.reasons import REASONS
from ragctl.envelope import ENVELOPE, take_output_option
from ragctl.output import runnable

EXIT_INTERRUPTED = 130
_HELP = {"--help", "-h", "--version"}
_DEPRECATED = (
    "rag: --json is deprecated and will be removed in a later release: use `--output json`, which prints "
    "{ok, data, error}"
)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("rag-platform")
    except PackageNotFoundError:
        return "unknown"


app = App(
    name="rag",
    help="Run and operate the RAG platform on one machine.\n\n"
    "Settings are RAG_* variables (docs/reference/settings.md). `--output json` makes any result `{ok, data, error}`. "
    "Failures print `rag: REASON: message`; the exit code names the next action: 1 read the reason, 2 correct the "
    "input, 3 sign in, 4 ask for the permission, 5 there is no such thing, 6 try again later, 7 some of it is done.",
    help_format="plaintext",
    version=_version,
    result_action="return_value",
)

# The module of a command is imported when the command runs, or its help is shown.
_SECTIONS: dict[str, dict[str, str]] = {
    "Start": {
        "up": "stack:up",
        "down": "stack:down",
        "status": "stack:status",
        "open": "completion:open_",
        "doctor": "doctor:doctor",
        "logs": "logs:logs",
        "completion": "completion:completion",
    },
    "Ask": {
        "query": "query:query",
        "chat": "chat:chat",
        "mcp": "mcp:mcp",
        "evaluate": "evaluate_questions:app",
        "curate": "curate:app",
    },
    "Data": {
        **{name: f"{name}:app" for name in ("source", "documents", "quarantine", "stream", "connector")},
        "index": "index_generations:app",
        "verify": "verify:verify",
    },
    "Access": {
        **{
            name: f"{name}:app"
            for name in ("tenant", "account", "access", "token", "key", "session", "secret", "budget")
        },
        "usage": "budget:usage",
        "audit": "audit:app",
    },
    "Operate": {
        **{name: f"{name}:app" for name in ("gateway", "deploy", "webhook")},
        "backup": "backup:backup",
        "restore": "backup:restore",
        # The wheel leaves the benchmarks out.
        "bench": "benchmarks.cli:app" if find_spec("benchmarks") else "bench:app",
    },
}
for _place, (_section, _commands) in enumerate(_SECTIONS.items()):
    _group = Group(_section, sort_key=_place)
    for _nth, (_name, _function) in enumerate(_commands.items()):
        _path = _function if _function.startswith("benchmarks.") else f"ragctl.commands.{_function}"
        app.command(_path, name=_name, group=_group, sort_key=_nth)
_options_group = Group("Options", sort_key=len(_SECTIONS))
for _flag in ("--help", "--version"):
    app[_flag].group = _options_group


def loaded_app() -> App:
    """The app with the module of every command imported: a list of commands has the first line of each."""
    for name in [name for commands in _SECTIONS.values() for name in commands]:
        _ = app[name]
    return app


def _make_runnable(tokens: Sequence[str]) -> None:
    """Have the help of a command show its examples as they can be typed here."""
    *_, last = app.parse_commands([token for token in tokens if token not in _HELP])[1]
    if last is not app:
        last.help = runnable(last.help)


def run(tokens: Sequence[str]) -> int:
    """Run one command line and return its exit code. Errors become one line on standard error.

    With `--output json` the result, or the error, is one JSON document on standard output.
    """
    try:
        tokens, wanted = take_output_option(tokens)
    except InvalidInput as error:
        return _fail(error.reason, error.message)
    enveloped = wanted == "json" and not _HELP & set(tokens)
    if not enveloped:
        if "--json" in _options(tokens):
            print(_DEPRECATED, file=sys.stderr)
        return _code(*_outcome(tokens))
    ENVELOPE.active, ENVELOPE.documents = True, []
    try:
        result, failure = _outcome(_as_json(tokens), quiet=True)
    finally:
        ENVELOPE.active = False
    try:
        print(ENVELOPE.render(failure), flush=True)
    except BrokenPipeError:
        _discard_output()
    return _code(result, failure)


def _discard_output() -> None:
    """The reader (`| head`) has enough: keep the interpreter from complaining when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _options(tokens: Sequence[str]) -> Sequence[str]:
    return tokens[: tokens.index("--")] if "--" in tokens else tokens


def _as_json(tokens: Sequence[str]) -> list[str]:
    if "--json" in _options(tokens):
        return list(tokens)
    end = list(tokens).index("--") if "--" in tokens else len(tokens)
    return [*tokens[:end], "--json", *tokens[end:]]


Failure = tuple[Reason, str]


def _outcome(tokens: Sequence[str], *, quiet: bool = False) -> tuple[int, Failure | None]:
    """Run the command. Returns its own exit code, and the reason and message when it did not succeed."""
    report = (lambda reason, message: None) if quiet else _print_failure
    called = loaded_app() if not tokens or tokens[0] in {"--help", "-h"} else app
    try:
        if _HELP & set(tokens):
            _make_runnable(tokens)
        result = called(list(tokens), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        failure = Reason.USAGE, _one_line(_usage(error))
    except RagError as error:
        failure = error.reason, _one_line(error.message)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED, None
    except BrokenPipeError:
        _discard_output()
        return 0, None
    except ModuleNotFoundError as error:
        failure = _missing(error)
    except Exception as error:
        failure = Reason.INTERNAL, _defect(error)
    else:
        return _result(result)
    report(*failure)
    return 0, failure


def _usage(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        command = " ".join(("rag", *(error.command_chain or ())))
        return f"unexpected: {' '.join(error.unused_tokens or ())}; see `{command} --help`"
    return str(error)


def _result(result: object) -> tuple[int, Failure | None]:
    """A command returns nothing, a reason code for what it has printed, or 1 for a problem that it has printed."""
    if isinstance(result, Reason):
        return 0, (result, REASONS[result][0])
    if isinstance(result, int) and result:
        return result, (Reason.CHECK_FAILED, REASONS[Reason.CHECK_FAILED][0])
    return 0, None


def _code(result: int, failure: Failure | None) -> int:
    return result or (exit_code(failure[0]) if failure else 0)


def main() -> None:
    """Entry point of the console script."""
    # Pydantic would read the metadata of every installed package, in search of plugins that this program has none of.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    sys.exit(run(sys.argv[1:]))


def _missing(error: ModuleNotFoundError) -> Failure:
    """Name the package to install; a module of the platform itself that is missing is a defect."""
    from rag_core.packages import package_missing

    module = (error.name or "").partition(".")[0]
    if not module or find_spec(module) is not None:
        return Reason.INTERNAL, _defect(error)
    problem = package_missing(module)
    return problem.reason, problem.message


def _defect(error: Exception) -> str:
    """Report an unexpected exception: its location, without the values involved."""
    from rag_core.logging import format_exception

    print(format_exception(error), file=sys.stderr)
    return f"{type(error).__name__}: a defect; the lines above name its place"


def _fail(reason: Reason, message: str) -> int:
    _print_failure(reason, message)
    return exit_code(reason)


def _print_failure(reason: Reason, message: str) -> None:
    print(f"rag: {reason}: {runnable(message)}", file=sys.stderr)


def _one_line(text: str) -> str:
    return " ".join(text.split())
