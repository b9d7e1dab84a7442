"""The traces of a local stack: an OTLP receiver with a bounded file, read in the shape of Jaeger's query API."""
