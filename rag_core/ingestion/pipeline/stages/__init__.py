"""The four stages of the pipeline, one module each."""
