-- Pending work, defined once per stage: documents to chunk, texts to embed, versions to index.
-- PostgreSQL inlines these functions, so that the caller's conditions reach the indexes. For that they must be STABLE,
-- not STRICT, without settings of their own, and never called with a subquery as an argument.

-- Live documents whose chunks are missing or outdated. `chunked`: this chunker has chunked an earlier text.
CREATE OR REPLACE FUNCTION rag.pending_chunks(chunker text)
RETURNS TABLE (doc_id uuid, tenant text, source text, shard smallint, text_version bigint, chunked boolean)
LANGUAGE sql STABLE AS $$
SELECT d.doc_id, d.tenant, d.source, d.shard, d.text_version, k.doc_id IS NOT NULL
FROM rag.documents d
LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = pending_chunks.chunker
WHERE d.deleted_at IS NULL AND k.text_version IS DISTINCT FROM d.text_version
$$;

-- Chunks whose text has no vector yet.
CREATE OR REPLACE FUNCTION rag.pending_embeddings(chunker text, embedder text)
RETURNS TABLE (doc_id uuid, ordinal integer, text_hash bytea, embed_text text, tokens integer)
LANGUAGE sql STABLE AS $$
SELECT c.doc_id, c.ordinal, c.text_hash, c.embed_text, c.tokens
FROM rag.chunks c
WHERE c.chunker = pending_embeddings.chunker AND NOT EXISTS (
    SELECT FROM rag.embeddings e
    WHERE e.text_hash = c.text_hash AND e.embedder = pending_embeddings.embedder)
$$;

-- Documents and tombstones whose current version a generation has not indexed; all of them when the generation does
-- not exist. `required` is false for a tombstone without a mark: completeness does not need it, but it is applied,
-- because the mark may have been lost in a crash.
CREATE OR REPLACE FUNCTION rag.pending_index(generation text)
RETURNS TABLE (doc_id uuid, tenant text, source text, shard smallint, version bigint, indexed_version bigint,
               deleted boolean, required boolean)
LANGUAGE sql STABLE AS $$
SELECT d.doc_id, d.tenant, d.source, d.shard, d.version, g.indexed_version, d.deleted_at IS NOT NULL,
       g.doc_id IS NOT NULL OR d.deleted_at IS NULL
FROM rag.documents d
LEFT JOIN rag.generation_documents g ON g.generation = pending_index.generation AND g.doc_id = d.doc_id
WHERE g.indexed_version IS DISTINCT FROM d.version
$$;
