"""The watcher of the source files: stores what is wrong with them, and reloads the code location when one changes."""

# No postponed annotations: Dagster reads the type of `context` at definition.

import threading

import dagster as dg
import grpc

from rag_assets.config import files_fingerprint, read_sources
from rag_assets.lib.failures import typed_failures
from rag_core.content.sources import SourceProblem, problem_store
from rag_core.ingestion.pipeline import Pipeline
from rag_core.logging import get_logger
from rag_core.settings import Settings

log = get_logger(__name__)

NAME = "source_files"
FILES_TAG = "rag/source_files"
"""The sensor's own tag: the fingerprint of the files that the code location has loaded."""
SECONDS = 10
_RELOAD_SECONDS = 600
"""A busy machine needs minutes. Given up too early, the next evaluation would ask for a second reload."""
_AFTER_SECONDS = 0.5
_RELOAD = "/api.DagsterApi/ReloadCode"
_NO_PROXY = [("grpc.enable_http_proxy", 0)]
_reloading = threading.Lock()
"""Held from the first change until this process ends, or the reload failed."""


def files_sensor(settings: Settings, loaded: str) -> dg.SensorDefinition:
    """The sensor; `loaded` is the fingerprint of the files that these definitions were built from."""
    read: dict[str, list[SourceProblem]] = {}

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        tags={FILES_TAG: loaded},
        description="Reloads the code location when a source file is added, changed or removed.",
    )
    def source_files(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SkipReason:
        folder = settings.effective_sources_dir
        with typed_failures():
            now = files_fingerprint(folder)
            if now not in read:  # parsing a thousand files takes most of a second
                read.clear()
                read[now] = read_sources(folder).problems
            problems = read[now]
            context.update_cursor(now)  # console and command line compare it with the tag of what is loaded
            with pipeline.store.engine.connect() as connection:
                problem_store.replace(connection, problems)
        wrong = f"; {len(problems)} problem(s), see `rag source list`" if problems else ""
        if now == loaded:
            return dg.SkipReason(f"the source files are loaded{wrong}")
        if _reloading.acquire(blocking=False):
            # After the answer: the reload ends this process.
            threading.Timer(_AFTER_SECONDS, reload_code, [settings.code_location_port]).start()
        return dg.SkipReason(f"a source file changed, reloading{wrong}")

    return source_files


def reload_code(port: int) -> None:
    """Ask the code server, this process's parent. Webserver and daemon notice the new one within a second."""
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", _NO_PROXY) as channel:
            channel.unary_unary(_RELOAD, bytes, bytes)(b"", timeout=_RELOAD_SECONDS)  # the request has no fields
    except Exception as error:  # the next evaluation tries again
        log.warning("reload_failed", error=type(error).__name__)
        _reloading.release()
