"""The stream worker: a long-lived process that applies changes in micro-batches, outside of any Dagster run.

base.py            the `StreamSource` interface: messages and their positions
inbox.py           the push inbox in PostgreSQL
kafka/             a Kafka topic
consumer_loop.py   one stream: poll, apply, retry, isolate, dead-letter, stop
dead_letters.py    dead letters
worker.py          all streams of a process: threads, heartbeat, reconciler, shutdown
canary.py          test documents that measure push and search
report.py          results as Dagster materializations
"""
