-- Former texts of a document whose vectors are still stored, so that an erasure finds them.
CREATE OR REPLACE FUNCTION rag.former_texts_remember() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO rag.former_texts (doc_id, text_hash) SELECT DISTINCT doc_id, text_hash FROM gone ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER former_texts AFTER DELETE ON rag.chunks REFERENCING OLD TABLE AS gone
FOR EACH STATEMENT EXECUTE FUNCTION rag.former_texts_remember();
