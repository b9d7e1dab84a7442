-- Changes of permissions, deletions and revoked tokens: recorded for query servers, and announced when they are committed.
-- Triggers, so that no statement, of this program or an operator, can change who sees a document without a trace.

-- An ACL admits a caller with one of its entries, and with none that it refuses; entries that begin with `deny:` refuse
-- by themselves. Without a subquery, so that it is inlined; no entry has a control character.
CREATE OR REPLACE FUNCTION rag.admits(acl text[], entries text[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT acl && entries AND NOT acl && string_to_array(
        replace(E'\x1fdeny:' || array_to_string(entries, E'\x1fdeny:'), E'\x1fdeny:deny:', E'\x1fdeny:'), E'\x1f')
$$;

-- It acts on rows whose ACL or deletion changed; for other rows it costs one comparison.
CREATE OR REPLACE FUNCTION rag.note_visibility() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rag.visibility_changes AS v (doc_id, tenant, source, shard, version, acl, restricts)
    VALUES (NEW.doc_id, NEW.tenant, NEW.source, NEW.shard, NEW.version,
            CASE WHEN NEW.deleted_at IS NULL THEN NEW.acl END,
            NEW.deleted_at IS NOT NULL OR NOT coalesce(OLD.acl, '{}') <@ coalesce(NEW.acl, '{}')
            OR EXISTS (SELECT FROM unnest(NEW.acl) AS refused(entry)
                       WHERE starts_with(refused.entry, 'deny:') AND refused.entry <> ALL(coalesce(OLD.acl, '{}'))))
    ON CONFLICT (doc_id) DO UPDATE
    SET version = excluded.version, acl = excluded.acl, shard = excluded.shard, position = excluded.position,
        restricts = v.restricts OR excluded.restricts;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER note_visibility AFTER UPDATE ON rag.documents FOR EACH ROW
WHEN (OLD.acl IS DISTINCT FROM NEW.acl OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
EXECUTE FUNCTION rag.note_visibility();

-- What documents refuse by the name of a source (deny:corp/gid:7), for callers to be held against what directories know.
CREATE OR REPLACE FUNCTION rag.note_refused_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rag.refused_names AS r (tenant, name)
    SELECT DISTINCT w.tenant, substr(a.entry, 6) AS name FROM written w CROSS JOIN LATERAL unnest(w.acl) AS a(entry)
    WHERE a.entry LIKE 'deny:%/%' AND a.entry !~ '^deny:(user|group):'
    ORDER BY 1, 2  -- two writers never wait for each other
    ON CONFLICT (tenant, name) DO UPDATE SET seen_at = now() WHERE r.seen_at < now() - interval '1 hour';
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER note_refused_names AFTER INSERT ON rag.documents REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION rag.note_refused_names();
CREATE OR REPLACE TRIGGER note_changed_refused_names AFTER UPDATE ON rag.documents REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION rag.note_refused_names();

CREATE OR REPLACE FUNCTION rag.announce_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY rag_revocations;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER announce_revocation AFTER INSERT ON rag.inbox FOR EACH ROW WHEN (NEW.operation = 'delete')
EXECUTE FUNCTION rag.announce_revocation();
CREATE OR REPLACE TRIGGER announce_revocation AFTER INSERT OR UPDATE ON rag.visibility_changes FOR EACH ROW WHEN (NEW.restricts)
EXECUTE FUNCTION rag.announce_revocation();
CREATE OR REPLACE TRIGGER announce_revocation AFTER INSERT OR UPDATE ON rag.token_revocations FOR EACH STATEMENT
EXECUTE FUNCTION rag.announce_revocation();
CREATE OR REPLACE TRIGGER announce_revocation AFTER INSERT OR UPDATE OR DELETE ON rag.directories FOR EACH STATEMENT
EXECUTE FUNCTION rag.announce_revocation();
CREATE OR REPLACE TRIGGER announce_revocation AFTER INSERT ON rag.refused_names FOR EACH ROW
EXECUTE FUNCTION rag.announce_revocation();
CREATE OR REPLACE TRIGGER announce_revocation AFTER INSERT OR UPDATE OR DELETE ON rag.curations FOR EACH STATEMENT
EXECUTE FUNCTION rag.announce_revocation();
CREATE OR REPLACE TRIGGER announce_revocation AFTER INSERT OR UPDATE ON rag.tenants FOR EACH STATEMENT
EXECUTE FUNCTION rag.announce_revocation();
