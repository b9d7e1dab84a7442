"""The preview of `rag source add`: the first items, and who may read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

from rag_core.errors import RagError
from ragctl.commands._shared import quiet
from ragctl.output import note, say, table

if TYPE_CHECKING:
    from rag_assets.source_config import SourceConfig
    from rag_core.database import Store
    from rag_core.settings import Settings


def examined(config: SourceConfig, settings: Settings, *, preview: bool) -> dict[str, Any]:
    """Test the connection of a source and read its first items."""
    from rag_assets.source_admin import check_source, preview_source

    with quiet(), ExitStack() as stack:
        found: dict[str, Any] = {"check": check_source(config, settings)}
        if preview and found["check"]["ok"] and not config.options.is_stream:
            try:
                store = stack.enter_context(_directories(settings))
                seconds = settings.source_operation_seconds
                found["preview"] = preview_source(config, settings, seconds=seconds, store=store)
            except RagError as error:
                note(f"no preview: {error.reason}: {error.message}")
    return found


@contextmanager
def _directories(settings: Settings) -> Iterator[Store | None]:
    """The database, which knows who readers are; `None` when it is not running."""
    from rag_core.database import open_store

    try:
        store = open_store(settings)
    except RagError:
        yield None
        return
    with closing(store):
        yield store


def show(found: dict[str, Any], text: str, config: SourceConfig) -> None:
    """Print what was found, who may read it, when it is compared, and the file."""
    from rag_assets.source_admin.definition import next_times

    check = found["check"]
    say(f"Connected: {check['items']}{'+' if check.get('more') else ''} items" if check["ok"] else "Not readable now")
    preview = found.get("preview")
    if preview is not None:
        rows = [
            ("yes" if item["ok"] else item["reason"], item.get("title", ""), item["locator"], item.get("size", 0),
             item.get("media_type", ""))
            for item in (({"ok": False} | item) for item in preview["items"])
        ]  # fmt: skip
        table(("readable", "title", "item", "bytes", "type"), rows, empty="the source has no items")
        for chunk in preview["chunks"]:
            say(f"\nchunk of {chunk['tokens']} tokens, {' > '.join(chunk['headings']) or chunk['title']}")
            say("  " + " ".join(chunk["text"].split())[:300])
        say()
    _show_readers(preview["items"] if preview else [], config)
    if config.schedule is not None and config.has_runs:
        times = ", ".join(f"{moment:%a %Y-%m-%d %H:%M}" for moment in next_times(config.schedule))
        say(f"Full comparison: {config.schedule.cron} ({config.schedule.timezone}); next {times}")
    say(f"\n{text}")


def _show_readers(items: list[dict[str, Any]], config: SourceConfig) -> None:
    from rag_assets.connectors.fields import NOBODY
    from rag_assets.source_admin import count_readers

    counted = count_readers(items)
    total = sum(count for _, count in counted)
    default = ", ".join(config.acl or ()) or "nobody, until the source reports permissions"
    say(f"Who may read it (tenant {config.tenant}):{'' if counted else f' {default}'}")
    for readers, count in counted:
        say(f"  {count} of {total}: {'nobody' if readers in ('', NOBODY) else readers}")
