"""`python -m rag_assets.daemon run -w WORKSPACE`: Dagster's daemon, which loads definitions again when they changed.

By itself it loads all of them every minute, a call for each job: with a thousand sources that was four fifths of the
processor time of the idle daemon, and half of the code server's.
"""

from __future__ import annotations

from typing import Any

from dagster._daemon import cli, controller

_ID_SECONDS = 5


def main() -> None:
    """Run Dagster's command of the daemon."""
    load_when_changed()
    cli.main()


def load_when_changed() -> None:
    """Have this process load definitions again when there is a reason, and not whenever it is time to."""
    workspace = controller.WorkspaceProcessContext  # type: ignore[attr-defined]  # what its workspace is made of
    load = workspace.refresh_workspace

    def refresh_workspace(self: Any) -> None:
        if has_changed(self):
            load(self)

    workspace.refresh_workspace = refresh_workspace  # type: ignore[method-assign]


def has_changed(workspace: Any) -> bool:
    """Return whether a code location failed to load, cannot be reached, or has other definitions than are loaded.

    A server makes up another id whenever it loads its definitions.
    """
    for entry in workspace.get_current_workspace().code_location_entries.values():
        location = entry.code_location
        try:
            if location is None or location.client.get_server_id(timeout=_ID_SECONDS) != location.server_id:
                return True
        except Exception:  # the load that follows says why
            return True
    return False


if __name__ == "__main__":
    main()
