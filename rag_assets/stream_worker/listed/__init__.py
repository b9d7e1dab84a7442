"""Small changes of listed sources, brought in by the stream worker without a run.

leases.py    which sources this worker observes: one lock each, divided among the workers
folders.py   folders that report their changes
servers.py   servers that report their changes
observed.py  one source: whether it has changed, and its changes
observer.py  all sources of a worker: whose turn it is, threads, the heartbeat's entry
reports.py   what was brought in, for Dagster
"""
