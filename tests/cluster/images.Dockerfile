# What the tests of the cluster change in the project's images: no package holds a Qdrant server, so whoever would call
# one calls the index process of a pod beside it, by two variables that every Python process gets at its start.
ARG ROLE=query
FROM rag-platform/${ROLE}:local AS tag
USER 0
RUN echo 'import os; u = os.environ.get("RAG_QDRANT_URL"); u and os.environ.update(RAG_QDRANT_URL="", RAG_INDEX_ENDPOINT=u.rpartition("/")[2])' \
    > "$(echo /opt/rag/lib/python3*/site-packages)/index_of_the_tests.pth"
USER 10001:10001
ARG TAG
LABEL tag=${TAG}

# Query servers of a bad release end at their start; what else is made of the image works.
FROM tag AS bad
USER 0
RUN echo 'import os, sys; "query-server" in sys.orig_argv and os._exit(1)' \
    > "$(echo /opt/rag/lib/python3*/site-packages)/bad_release.pth"
USER 10001:10001

FROM rag-platform/query:local AS index
COPY index.py /index.py
ENV RAG_HOME=/qdrant/storage RAG_ENVIRONMENT=development
CMD ["python", "-P", "/index.py"]

FROM rag-base:local AS pause
CMD ["sleep", "infinity"]
