"""A Kafka topic as a stream: reading, partitions, offsets, dead letters and completions."""
