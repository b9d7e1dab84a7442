"""The generated half of helm/rag-platform: everything in the chart that is derived from the program.

values.py    values of the chart as models; values.yaml and values.schema.json are written from them
settings.py  which fields of `rag_core.settings.Settings` a cluster may set, and their schema
files.py     Envoy's and Dagster's configuration from the same generators that the local stack uses
writer.py    writes the files, and compares them for `make check`
"""
