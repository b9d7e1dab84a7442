"""The push inbox as an external asset, and the drain that runs when no stream worker is alive.

A worker (`rag stream`) reports to the assets, a summary per interval. When none is alive and something waits, the
sensor starts a run that drains what is there: slower, and nothing is lost or forgotten.
"""

# No postponed annotations: Dagster reads the type of `context` at definition.

import dagster as dg

from rag_assets.defs.streams.jobs import stream_drain
from rag_assets.defs.streams.sensors import lag_sensor
from rag_assets.stream_worker.report import stream_key

GROUP = "streams"

inbox = dg.AssetSpec(
    stream_key("inbox"),
    group_name=GROUP,
    description="Documents pushed by the API, applied by the stream worker.",
    kinds={"postgres"},
)


def stream_definitions() -> dg.Definitions:
    """Stream definitions that every installation has in addition to its sources."""
    return dg.Definitions(assets=[inbox], jobs=[stream_drain], sensors=[lag_sensor()])
