"""The stream worker: a long-lived process that applies changes in micro-batches, outside of any Dagster run.

base.py           what a stream is: messages, their positions, the `StreamSource` interface
inbox.py          the push inbox in PostgreSQL; a Kafka topic is in `kafka`
streams.py        which streams this installation has
consumer_loop.py  one stream: poll, apply, retry, isolate, dead-letter, stop
dead_letters.py   messages that were given up on
worker.py         all streams of a process: threads, heartbeat, draining
drain.py          one bounded pass, for runs without a worker
maintenance.py    accepted documents that are still pending, and what streams leave behind
canary.py         documents of our own that measure the way in and out
report.py         what happened, for Dagster
metrics.py        what happened, for Prometheus (`waiting.py`: pending changes, `run_gauges.py`: Dagster's runs)
"""
