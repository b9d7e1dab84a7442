"""The watcher of the source files: stores what is wrong with them, and reloads the code location when one changes.

The code location's process watches their folder, and a sensor looks at intervals: a watch may be lost, and network
shares have none.
"""

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
SECONDS = 60
_DEBOUNCE_MS, _STEP_MS = 600, 200
"""Longest wait for more changes, and the pause after which no more came: a folder of files is copied in one go."""
_RELOAD_SECONDS = 600
"""A busy machine needs minutes. Given up too early, the next evaluation would ask for a second reload."""
_AFTER_SECONDS = 0.5
_RELOAD = "/api.DagsterApi/ReloadCode"
_NO_PROXY = [("grpc.enable_http_proxy", 0)]
_reloading = threading.Lock()
"""Held from the first change until this process ends, or the reload failed."""


def files_sensor(settings: Settings, loaded: str) -> dg.SensorDefinition:
    """The sensor; `loaded` is the fingerprint of the files that these definitions were built from."""
    look = _Look(settings, loaded)

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        tags={FILES_TAG: loaded},
        description="Reloads the code location when a source file is added, changed or removed.",
    )
    def source_files(context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.SkipReason:
        with typed_failures():
            look.watch(pipeline)
            return dg.SkipReason(look.now(pipeline))

    return source_files


class _Look:
    """Compares the files with those that are loaded. Lives as long as the process that evaluates the sensor."""

    def __init__(self, settings: Settings, loaded: str) -> None:
        self._settings, self._loaded = settings, loaded
        self._read: dict[str, list[SourceProblem]] = {}
        self._looking = threading.Lock()
        self._watched = False

    def now(self, pipeline: Pipeline) -> str:
        """Store what is wrong with the files, reload where one changed, and return what was found."""
        folder = self._settings.effective_sources_dir
        with self._looking:
            now = files_fingerprint(folder)
            if now not in self._read:  # parsing a thousand files takes most of a second
                self._read = {now: read_sources(folder).problems}
            problems = self._read[now]
            with pipeline.store.engine.connect() as connection:
                problem_store.replace(connection, problems)
        wrong = f"; {len(problems)} problem(s), see `rag source list`" if problems else ""
        if now == self._loaded:
            return f"the source files are loaded{wrong}"
        if _reloading.acquire(blocking=False):
            # After the answer: the reload ends this process.
            threading.Timer(_AFTER_SECONDS, reload_code, [self._settings.code_location_port]).start()
        return f"a source file changed, reloading{wrong}"

    def watch(self, pipeline: Pipeline) -> None:
        """Look whenever the folder changes, from now on, where it can be watched."""
        if not self._watched:
            self._watched = True
            threading.Thread(target=self._follow, args=(pipeline,), name="source-files", daemon=True).start()

    def _follow(self, pipeline: Pipeline) -> None:
        from watchfiles import watch  # for the one process that evaluates the sensor

        try:
            folder = self._settings.effective_sources_dir
            for _ in watch(folder, debounce=_DEBOUNCE_MS, step=_STEP_MS, recursive=False, raise_interrupt=False):
                self.now(pipeline)
        except Exception as error:  # no folder yet, or the machine's limit of watches; or the database is away
            log.warning("source_files_not_watched", error=type(error).__name__)
        self._watched = False  # the next evaluation begins again


def reload_code(port: int) -> None:
    """Ask the code server, this process's parent. Webserver and daemon notice the new one within a second."""
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", _NO_PROXY) as channel:
            channel.unary_unary(_RELOAD, bytes, bytes)(b"", timeout=_RELOAD_SECONDS)  # the request has no fields
    except Exception as error:  # the next evaluation tries again
        log.warning("reload_failed", error=type(error).__name__)
        _reloading.release()
