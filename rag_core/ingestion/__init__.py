"""Keeping the index true: the pipeline, generations and their promotion, verify, erasure, states of sources, alerts."""
