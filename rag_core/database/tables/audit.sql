-- The audit log: a chain of hashes per tenant, and no row is changed or removed.

-- SECURITY DEFINER: the services append to the log, and only the log itself moves the head of a chain.
CREATE OR REPLACE FUNCTION rag.audit_link() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE head record;
BEGIN
    INSERT INTO rag.audit_heads AS h (tenant, seq, hash) VALUES (coalesce(NEW.tenant, ''), 1, ''::bytea)
    ON CONFLICT (tenant) DO UPDATE SET seq = h.seq + 1 RETURNING h.seq, h.hash INTO head;
    NEW.chain_seq := head.seq;
    NEW.chain_hash := sha256(head.hash || convert_to(jsonb_build_array(
        NEW.id, (extract(epoch FROM NEW.at) * 1000000)::bigint, NEW.actor, NEW.action, NEW.target, NEW.outcome,
        NEW.tenant, NEW.doc_id, NEW.details)::text, 'UTF8'));
    UPDATE rag.audit_heads SET hash = NEW.chain_hash WHERE tenant = coalesce(NEW.tenant, '');
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION rag.audit_refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('rag.audit_retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log cannot be changed' USING ERRCODE = 'insufficient_privilege';
END $$;

-- Only once the row is complete: the id and the time are defaults.
CREATE OR REPLACE TRIGGER audit_link BEFORE INSERT ON rag.audit FOR EACH ROW EXECUTE FUNCTION rag.audit_link();
CREATE OR REPLACE TRIGGER audit_refuse BEFORE UPDATE OR DELETE ON rag.audit
FOR EACH ROW EXECUTE FUNCTION rag.audit_refuse();
CREATE OR REPLACE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON rag.audit
FOR EACH STATEMENT EXECUTE FUNCTION rag.audit_refuse();
