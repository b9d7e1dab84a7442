"""Output of commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import json as _json
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from ragctl.envelope import ENVELOPE

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.text import Text

    from rag_core.ingestion.pipeline import Progress

Json = Annotated[
    bool,
    Parameter(name="--json", negative="", show=False),
]
"""Deprecated: the bare result. `--output json`, which every command takes, prints `{ok, data, error}`."""

Limit = Annotated[int, Parameter(validator=Number(gte=1))]
"""Number of entries that a list prints at most."""


def emit_json(value: object) -> None:
    """Print a value as one JSON document; with `--output json` it becomes the `data` of the whole result."""
    if ENVELOPE.active:
        ENVELOPE.documents.append(value)
        return
    print(_json.dumps(value, ensure_ascii=False, indent=2, default=str))


def emit(value: object, text: str, *, json: bool) -> None:
    """Print the result of a command: the value as JSON, or a line that says it."""
    emit_json(value) if json else say(text)


def message_json(message: Message) -> dict[str, Any]:
    """A message as JSON. Fields at their default too: a citation that begins at 0 begins somewhere."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def say(text: str = "") -> None:
    """Print a line of the result. Control characters of foreign text are made visible: none reaches the terminal."""
    print(visible(text))


def note(text: str) -> None:
    """Print a line that is not part of the result."""
    print(visible(runnable(text)), file=sys.stderr, flush=True)


_NAMED = re.compile(r"(Example: |`|&& |\| )rag (?=[a-z])")


def runnable(text: str) -> str:
    """The text with the commands of the platform in it as they can be typed here."""
    return _NAMED.sub(rf"\g<1>{command()} ", text) if "rag " in text else text


def command() -> str:
    """`rag`, or its path where the folder of this program is not on PATH."""
    called = Path(sys.argv[0])
    found = shutil.which("rag") if called.name == "rag" else "rag"
    if found and (called.name != "rag" or Path(found).resolve() == called.resolve()):
        return "rag"
    return shlex.quote(shorten(called))


def shorten(path: Path) -> str:
    """Relative to the working folder when it lies below it: that is what people type."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(absolute)


def visible(text: str) -> str:
    """The text with control characters other than newline and tab written as escapes."""
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)


_SENTENCES = frozenset({"state", "status", "detail", "why", "what to do", "reason", "value", "found", "result"})
"""Columns that are read as a whole, so that they wrap."""
_STATE_COLUMNS = frozenset({"state", "status", "healthy", "result", "outcome", "run", "readable", "gate"})
_STYLES = {
    "green": "healthy ok yes active ready succeeded success delivered passed up",
    "yellow": "new waiting queued pending running listing reading embedding indexing building restarting paused held "
    "stale degraded suspended warning retired skipped",
    "red": "no failed failure stopped unhealthy broken canceled erased missing error",
}
_STYLE_OF = {word: style for style, words in _STYLES.items() for word in words.split()}


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "nothing") -> None:
    """Print rows as a table, on a terminal with coloured states and cells cut with "…". On a pipe it is plain text with
    a fixed width, in which long cells wrap."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    listed = [[visible(_cell(value)) for value in row] for row in rows]
    if not listed:
        say(empty)
        return
    screen = console()
    grid = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for row in listed:
        grid.add_row(*(_text(column, cell, screen) for column, cell in zip(columns, row, strict=True)))
    screen.print(grid)


def _text(column: str, cell: str, screen: Console) -> Text:
    from rich.text import Text

    cut = screen.is_terminal and column not in _SENTENCES
    return Text(cell, _style(column, cell), no_wrap=cut, overflow="ellipsis" if cut else "fold")


def _style(column: str, cell: str) -> str:
    """The colour of a state by its first word."""
    return _STYLE_OF.get(re.split(r"[\s:,_]", cell.lower(), maxsplit=1)[0], "") if column in _STATE_COLUMNS else ""


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return "" if value is None else str(value)


def markdown(text: str) -> Markdown:
    """Markdown of documents for the terminal: lines kept, HTML shown as text, no links that a click would open."""
    from markdown_it import MarkdownIt
    from rich.markdown import Markdown

    # A "[1]: …" in a document would turn the markers of citations into links.
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("reference")
    rendered = Markdown("", hyperlinks=False)
    rendered.parsed = parser.parse(visible(text))
    for token in rendered.parsed:
        for child in token.children or ():
            if child.type == "softbreak":
                child.type = "hardbreak"
    return rendered


def console(*, stderr: bool = False) -> Console:
    """A console without markup: text of documents and errors is never interpreted."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 120
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """A progress bar on standard error when that is a terminal; silent otherwise. Yields a `Progress` callback."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    times = (TimeElapsedColumn(), TimeRemainingColumn())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *times)
    with Progress(*columns, console=console(stderr=True), transient=True) as display:
        task = display.add_task(label, total=None)
        yield lambda done, total: display.update(task, completed=done, total=total)
