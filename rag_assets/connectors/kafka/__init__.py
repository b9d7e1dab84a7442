"""Kafka as a source: a topic of JSON documents. `options` is its YAML, `decode` what a message means.

A topic is read as a stream, by `rag stream` or by runs that drain it; its listing is only for inspection.
"""
