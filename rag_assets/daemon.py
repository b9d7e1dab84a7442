"""`python -m rag_assets.daemon run -w WORKSPACE`: Dagster's daemon, which loads the definitions again less often.

By itself it does that every minute, which takes longer the more sources there are. It need not: a thread of it notices
a code server with other definitions within a second.
"""

from __future__ import annotations

from dagster._daemon import cli, controller

_RELOAD_SECONDS = 300
_GIVE_UP_SECONDS = 540
"""Without definitions that it could load it ends, and is started again."""

if __name__ == "__main__":
    controller.RELOAD_WORKSPACE_INTERVAL = _RELOAD_SECONDS
    controller.DEFAULT_WORKSPACE_FRESHNESS_TOLERANCE = _GIVE_UP_SECONDS
    cli.main()
