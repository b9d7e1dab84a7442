"""Shared by commands that change something: one transaction, the name in the audit log, the question before."""

from __future__ import annotations

import getpass
import logging
import os
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from rag_core.errors import ConfigError, InvalidInput, Reason
from ragctl.output import runnable, say

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_core.content.sources import SourceProblem
    from rag_core.errors import Reason
    from rag_core.ingestion.pipeline import Pipeline


@contextmanager
def transaction() -> Iterator[Connection]:
    """One transaction on the database of the settings."""
    from rag_core.database import open_store
    from rag_core.settings import Settings

    with closing(open_store(Settings.load())) as store, store.engine.begin() as connection:
        yield connection


@contextmanager
def open_pipeline() -> Iterator[Pipeline]:
    """Database, index and models of the settings, each opened at its first use."""
    from rag_core.ingestion.pipeline import Pipeline
    from rag_core.settings import Settings

    with Pipeline(Settings.load()) as pipeline:
        yield pipeline


def actor() -> str:
    """Actor of a command in the audit log: the operating system user, in the form that tokens and the console use."""
    from rag_core.settings import Settings
    from ragctl.tokens import DEFAULT_TENANT

    named = Settings.load().actor
    if named is not None:
        return named
    try:
        return f"{DEFAULT_TENANT}/{getpass.getuser()}"
    except (KeyError, OSError):  # a container may run as a number without a name
        return f"{DEFAULT_TENANT}/uid-{os.geteuid()}"


def confirmed(question: str) -> bool:
    """Ask on the terminal. Raises `ConfigError` (`CONFIRMATION_NEEDED`) where there is none."""
    if not sys.stdin.isatty():
        raise ConfigError(Reason.CONFIRMATION_NEEDED, f"{question} Repeat with --yes (there is no terminal to ask on)")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return input().strip().lower() in {"y", "yes"}


def document_id_of(tenant: str, document: str) -> uuid.UUID:
    """The id of a document that is named by its id or as SOURCE/LOCATOR. Raises `InvalidInput` (`FIELD_INVALID`)."""
    from rag_core.ids import document_id

    source, slash, locator = document.partition("/")
    if slash:
        return document_id(tenant, source, locator)
    try:
        return uuid.UUID(document)
    except ValueError:
        raise InvalidInput(
            Reason.FIELD_INVALID, f"{document}: is neither the id of a document nor SOURCE/LOCATOR"
        ) from None


def partly(succeeded: Sequence[bool]) -> Reason | None:
    """The reason with which a command over several things ends, of which some did not succeed."""
    if all(succeeded):
        return None
    return Reason.PARTLY_DONE if any(succeeded) else Reason.CHECK_FAILED


def say_left_out(problems: Sequence[SourceProblem]) -> None:
    """Name the sources that are not loaded, and what is wrong with the file of each."""
    if not problems:
        return
    say("\nLeft out, because their files are wrong:")
    for one in problems:
        say(f"  {one.source} ({one.place}): {one.reason}: {one.message}")
    say(runnable("Correct them (`rag source edit NAME`); within 10 seconds they are loaded."))


# --------------------------------------------------------------------------------------------------------------------
# Results without log lines between them.


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress log lines of connectors while a command prints its result."""
    import structlog

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
