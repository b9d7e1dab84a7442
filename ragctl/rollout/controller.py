"""`python -m ragctl.rollout.controller`: the deployer that runs beside the stack.

It carries out what operators ask for in the console or over gRPC, goes on with a deployment whose command died, and
retires a colour when its grace period is over. With `--target kubernetes` it is the Deployment `deployer` of the chart.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rag_core import failpoints
from rag_core.errors import RagError
from rag_core.logging import configure_logging, get_logger
from rag_core.settings import Settings
from ragctl.local_stack.data_dir import Home
from ragctl.rollout.targets import TargetName, open_target

POLL_SECONDS = 1.0
LOOK_SECONDS = 5.0
_log = get_logger("ragctl.deployer")
Beat = Callable[[], None]


def keep(settings: Settings, home: Home, target: TargetName, stop: threading.Event, beat: Beat) -> None:
    """Work until `stop` is set; calls `beat` at least every few seconds while it does."""
    from rag_core.database import Store, open_store
    from ragctl.rollout.releases import take
    from ragctl.rollout.service import Deployments

    store: Store | None = None
    due = 0.0
    while not stop.is_set():
        beat()
        try:
            store = store or open_store(settings)
            kept = Deployments.real(store, open_target(target, settings, home), settings, lambda text: beat())
            kept.resume()
            take(kept)
            if time.monotonic() >= due:
                kept.look_after()
                due = time.monotonic() + LOOK_SECONDS
        except RagError as error:
            # The database or the target is away: they come back, and the rows say what to go on with.
            _log.warning("deployments wait", reason=error.reason, message=error.message)
        stop.wait(POLL_SECONDS)
    if store is not None:
        store.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """The part `deployer` of the local stack, or of a cluster, until SIGTERM."""
    options = _parse(arguments)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings.load()
    configure_logging(level=settings.log_level, json=settings.log_json)
    failpoints.arm(settings.failpoint)
    home = Home.of(settings)
    beat = options.beat or home.deployer_beat
    keep(settings.model_copy(update={"home": home.root}), home, options.target, stop, beat.touch)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ragctl.rollout.controller")
    parser.add_argument("--target", choices=("local", "kubernetes"), default="local")
    parser.add_argument("--beat", type=Path, help="touched as long as it works, for a probe to look at")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
