"""The stream worker: a long-lived process that applies changes in micro-batches, outside of any Dagster run.

base.py        what a stream is: messages, their positions, the `StreamSource` interface
inbox.py       the push inbox in PostgreSQL
kafka.py       a Kafka topic
pump.py        one stream: poll, apply, retry, isolate, give up, stop
letters.py     dead letters
worker.py      all streams of a process: threads, heartbeat, reconciling, draining
canary.py      documents of our own that measure the way in and out
report.py      what happened, for Dagster
"""
