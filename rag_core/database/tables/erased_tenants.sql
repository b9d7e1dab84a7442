-- No row of an erased tenant is written any more, by whatever statement of whatever program.

-- A writer holds the lock until it commits, and an erasure takes it exclusively once the tenant is closed: what was
-- written before is seen by the erasure, and what comes later is refused. The setting saves the rows after the first of
-- a transaction the look-up; a savepoint that is rolled back takes both back.
CREATE OR REPLACE FUNCTION rag.refuse_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tenant = current_setting('rag.writes_of', true) THEN
        RETURN NEW;
    END IF;
    IF TG_ARGV[0] = 'refuse' THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('rag tenant ' || NEW.tenant, 0));
    END IF;
    IF EXISTS (SELECT FROM rag.tenants t WHERE t.name = NEW.tenant AND t.state IN ('erasing', 'erased')) THEN
        IF TG_ARGV[0] = 'refuse' THEN
            RAISE EXCEPTION 'tenant %: it was erased, or is being erased', NEW.tenant USING ERRCODE = 'RAG01';
        END IF;
        RETURN NULL;
    END IF;
    IF TG_ARGV[0] = 'refuse' THEN
        PERFORM set_config('rag.writes_of', NEW.tenant, true);
    END IF;
    RETURN NEW;
END $$;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'api_keys', 'budgets', 'console_accounts', 'curations', 'directories', 'directory_entries', 'directory_members', 'directory_resources',
        'documents', 'embedding_turns', 'erasures',
        'evaluation_questions', 'evaluation_runs', 'held_deletions', 'inbox', 'listings', 'object_notices',
        'ratings', 'reading_progress', 'source_items', 'source_operations', 'sources', 'visibility_changes',
        'webhooks'
    ] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER refuse_erased BEFORE INSERT ON rag.%I FOR EACH ROW '
                       'EXECUTE FUNCTION rag.refuse_erased(''refuse'')', name);
    END LOOP;
    -- What the platform notes by itself, of many tenants in one statement: the row is left out, and no lock is taken,
    -- for a lock of each of thousands of tenants would not fit.
    FOREACH name IN ARRAY ARRAY[
        'alerts', 'announced_states', 'refused_names', 'audit_documents', 'console_sessions', 'dead_letters', 'history',
        'quality_runs', 'quarantine', 'run_stages', 'source_problems', 'source_runs', 'source_states',
        'token_revocations', 'unanswered_questions', 'usage', 'webhook_events'
    ] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER refuse_erased BEFORE INSERT ON rag.%I FOR EACH ROW '
                       'EXECUTE FUNCTION rag.refuse_erased(''leave out'')', name);
    END LOOP;
END $$;
