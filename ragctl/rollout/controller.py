"""`python -m ragctl.rollout.controller`: the deployer that runs beside the stack.

It carries out requests of operators from the console or over gRPC, resumes a deployment whose command died, and
retires a colour when its grace period is over. With `--target kubernetes` it is the Deployment `deployer` of the chart;
on one machine it also records memory and disk of the stack for the history.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rag_core import failpoints
from rag_core.errors import RagError
from rag_core.logging import configure_logging, get_logger
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import DataDir
from ragctl.rollout.targets import TargetName, open_target

POLL_SECONDS = 2.0
MAINTAIN_SECONDS = 15.0
_log = get_logger("ragctl.deployer")
Heartbeat = Callable[[], None]


def run_controller(
    settings: Settings, data_dir: DataDir, target: TargetName, stop: threading.Event, heartbeat: Heartbeat
) -> None:
    """Work until `stop` is set; calls `beat` at least every few seconds while it does."""
    from rag_core.database import Store, open_store
    from ragctl.rollout.releases import start_wanted
    from ragctl.rollout.service import Deployments

    store: Store | None = None
    due = 0.0
    while not stop.is_set():
        heartbeat()
        try:
            store = store or open_store(settings)
            kept = Deployments.real(store, open_target(target, settings, data_dir), settings, lambda text: heartbeat())
            kept.resume()
            start_wanted(kept)
            if time.monotonic() >= due:
                kept.maintain()
                due = time.monotonic() + MAINTAIN_SECONDS
        except RagError as error:
            # The database or the target is unavailable. The rows say where to resume once it returns.
            _log.warning("deployments_deferred", reason=error.reason, message=error.message)
        stop.wait(POLL_SECONDS)
    if store is not None:
        store.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the service `deployer` of the local stack, or of a cluster, until SIGTERM."""
    options = _parse(arguments)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings.load()
    configure_logging(level=settings.log_level, json=settings.log_json)
    failpoints.arm(settings.failpoint)
    data_dir = DataDir.of(settings)
    heartbeat = options.beat or data_dir.deployer_heartbeat
    settings = settings.model_copy(update={"home": data_dir.root})
    with _recording(settings, data_dir, options.target):
        run_controller(settings, data_dir, options.target, stop, heartbeat.touch)


def _recording(settings: Settings, data_dir: DataDir, target: TargetName) -> AbstractContextManager[None]:
    if target != "local" or settings.history_days == 0:
        return nullcontext()
    # Imported here: the images hold nothing of the local stack's programs.
    from ragctl.local_stack.measuring import recording

    return recording(settings, data_dir)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ragctl.rollout.controller")
    parser.add_argument("--target", choices=("local", "kubernetes"), default="local")
    parser.add_argument("--beat", type=Path, help="file touched while the controller works, for a probe")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
