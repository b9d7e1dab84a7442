"""The trace viewer of `rag up --traces`: Arize Phoenix in an environment of its own below RAG_HOME."""
