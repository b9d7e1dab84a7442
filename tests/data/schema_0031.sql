SET check_function_bodies = false;
CREATE SCHEMA rag;
CREATE FUNCTION rag.announce_revocation() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NOTIFY rag_revocations;
    RETURN NULL;
END $$;
CREATE FUNCTION rag.audit_link() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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
CREATE FUNCTION rag.audit_refuse() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('rag.audit_retention', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log cannot be changed' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE FUNCTION rag.former_texts_remember() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO rag.former_texts (doc_id, text_hash) SELECT DISTINCT doc_id, text_hash FROM gone ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE FUNCTION rag.note_visibility() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO rag.visibility_changes AS v (doc_id, tenant, source, shard, version, acl, restricts)
    VALUES (NEW.doc_id, NEW.tenant, NEW.source, NEW.shard, NEW.version,
            CASE WHEN NEW.deleted_at IS NULL THEN NEW.acl END,
            NEW.deleted_at IS NOT NULL OR NOT coalesce(OLD.acl, '{}') <@ coalesce(NEW.acl, '{}'))
    ON CONFLICT (doc_id) DO UPDATE
    SET version = excluded.version, acl = excluded.acl, shard = excluded.shard, position = excluded.position,
        restricts = v.restricts OR excluded.restricts;
    RETURN NULL;
END $$;
CREATE FUNCTION rag.pending_chunks(chunker text) RETURNS TABLE(doc_id uuid, tenant text, source text, shard smallint, text_version bigint, chunked boolean)
    LANGUAGE sql STABLE
    AS $$
        SELECT d.doc_id, d.tenant, d.source, d.shard, d.text_version, k.doc_id IS NOT NULL
        FROM rag.documents d
        LEFT JOIN rag.chunkings k ON k.doc_id = d.doc_id AND k.chunker = pending_chunks.chunker
        WHERE d.deleted_at IS NULL AND k.text_version IS DISTINCT FROM d.text_version
        $$;
CREATE FUNCTION rag.pending_embeddings(chunker text, embedder text) RETURNS TABLE(doc_id uuid, ordinal integer, text_hash bytea, embed_text text, tokens integer)
    LANGUAGE sql STABLE
    AS $$
        SELECT c.doc_id, c.ordinal, c.text_hash, c.embed_text, c.tokens
        FROM rag.chunks c
        WHERE c.chunker = pending_embeddings.chunker AND NOT EXISTS (
            SELECT FROM rag.embeddings e
            WHERE e.text_hash = c.text_hash AND e.embedder = pending_embeddings.embedder)
        $$;
CREATE FUNCTION rag.pending_index(generation text) RETURNS TABLE(doc_id uuid, tenant text, source text, shard smallint, version bigint, indexed_version bigint, deleted boolean, required boolean)
    LANGUAGE sql STABLE
    AS $$
        SELECT d.doc_id, d.tenant, d.source, d.shard, d.version, g.indexed_version, d.deleted_at IS NOT NULL,
               g.doc_id IS NOT NULL OR d.deleted_at IS NULL
        FROM rag.documents d
        LEFT JOIN rag.generation_documents g ON g.generation = pending_index.generation AND g.doc_id = d.doc_id
        WHERE g.indexed_version IS DISTINCT FROM d.version
        $$;
CREATE FUNCTION rag.refuse_erased() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE rag.alerts (
    key text NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    tenant text DEFAULT ''::text NOT NULL,
    source text DEFAULT ''::text NOT NULL,
    summary text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    delivered jsonb DEFAULT '{}'::jsonb NOT NULL
);
COMMENT ON COLUMN rag.alerts.key IS 'kind and what it is about; one row per condition';
COMMENT ON COLUMN rag.alerts.ended_at IS 'the condition is over';
COMMENT ON COLUMN rag.alerts.delivered IS 'per notifier: state and time last sent';
CREATE TABLE rag.announced_states (
    tenant text NOT NULL,
    source text NOT NULL,
    state text NOT NULL
);
COMMENT ON COLUMN rag.announced_states.state IS 'the state of the source that subscribers were told last';
CREATE TABLE rag.api_keys (
    key_id text NOT NULL,
    secret_hash bytea NOT NULL,
    name text NOT NULL,
    tenant text NOT NULL,
    groups text[] DEFAULT '{}'::text[] NOT NULL,
    scopes text[] NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone
);
COMMENT ON COLUMN rag.api_keys.key_id IS 'the public part of the key';
COMMENT ON COLUMN rag.api_keys.secret_hash IS 'sha256 of the secret part, which has 256 random bits';
COMMENT ON COLUMN rag.api_keys.name IS 'what it is for, in words of its owner';
COMMENT ON COLUMN rag.api_keys.last_used_at IS 'to the minute';
CREATE TABLE rag.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    tenant text,
    outcome text DEFAULT 'ok'::text NOT NULL,
    doc_id uuid,
    chain_seq bigint,
    chain_hash bytea
);
COMMENT ON COLUMN rag.audit.tenant IS 'whose data it concerned; null: the platform''s';
COMMENT ON COLUMN rag.audit.outcome IS 'ok, or the reason code of the refusal';
COMMENT ON COLUMN rag.audit.doc_id IS 'the document it was done to';
COMMENT ON COLUMN rag.audit.chain_seq IS 'place in its tenant''s chain';
COMMENT ON COLUMN rag.audit.chain_hash IS 'sha256 of the one before and of this row';
CREATE TABLE rag.audit_checkpoints (
    tenant text NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL,
    removed bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL
);
COMMENT ON COLUMN rag.audit_checkpoints.seq IS 'the last row that was removed';
COMMENT ON COLUMN rag.audit_checkpoints.hash IS 'its hash, which the next row continues';
CREATE TABLE rag.audit_documents (
    doc_id uuid NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    locator text NOT NULL
);
CREATE TABLE rag.audit_heads (
    tenant text NOT NULL,
    seq bigint NOT NULL,
    hash bytea NOT NULL
);
COMMENT ON COLUMN rag.audit_heads.tenant IS 'empty: actions without a tenant';
CREATE SEQUENCE rag.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.audit_id_seq OWNED BY rag.audit.id;
CREATE TABLE rag.budgets (
    tenant text NOT NULL,
    key_id text NOT NULL,
    calls_per_day bigint,
    model_tokens_per_day bigint,
    documents bigint,
    set_by text NOT NULL,
    set_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ck_budgets_calls CHECK ((calls_per_day >= 0)),
    CONSTRAINT ck_budgets_documents CHECK ((documents >= 0)),
    CONSTRAINT ck_budgets_documents_of_tenant CHECK (((key_id = ''::text) OR (documents IS NULL))),
    CONSTRAINT ck_budgets_model_tokens CHECK ((model_tokens_per_day >= 0))
);
COMMENT ON COLUMN rag.budgets.key_id IS 'of an API key; empty: of the whole tenant';
CREATE TABLE rag.chunkings (
    doc_id uuid NOT NULL,
    chunker text NOT NULL,
    text_version bigint NOT NULL,
    chunk_count integer NOT NULL,
    rejected boolean DEFAULT false NOT NULL
);
COMMENT ON COLUMN rag.chunkings.chunker IS 'chunker fingerprint';
COMMENT ON COLUMN rag.chunkings.text_version IS 'documents.text_version the chunks were computed from';
COMMENT ON COLUMN rag.chunkings.rejected IS 'could not be chunked or embedded; see quarantine';
CREATE TABLE rag.chunks (
    doc_id uuid NOT NULL,
    chunker text NOT NULL,
    ordinal integer NOT NULL,
    chunk_id uuid NOT NULL,
    start integer NOT NULL,
    "end" integer NOT NULL,
    headings text[] DEFAULT '{}'::text[] NOT NULL,
    embed_text text NOT NULL,
    text_hash bytea NOT NULL,
    tokens integer NOT NULL,
    blocks jsonb,
    CONSTRAINT ck_chunks_span CHECK (("end" > start))
);
COMMENT ON COLUMN rag.chunks.chunker IS 'chunker fingerprint; generations with different chunkers live side by side';
COMMENT ON COLUMN rag.chunks.blocks IS 'structure of the span; null: chunked before it was known';
CREATE TABLE rag.colours (
    target text NOT NULL,
    name text NOT NULL,
    release text NOT NULL,
    weight smallint NOT NULL,
    servers smallint NOT NULL,
    healthy smallint NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    keep_until timestamp with time zone,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.colours.release IS 'empty: nothing runs there';
CREATE TABLE rag.console_accounts (
    name text NOT NULL,
    tenant text NOT NULL,
    role text NOT NULL,
    groups text[] DEFAULT '{}'::text[] NOT NULL,
    platform boolean NOT NULL,
    salt bytea NOT NULL,
    password_hash bytea NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_sign_in_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    last_failure_at timestamp with time zone,
    unlocked_at timestamp with time zone
);
COMMENT ON COLUMN rag.console_accounts.role IS 'viewer, operator or admin';
COMMENT ON COLUMN rag.console_accounts.platform IS 'also acts on what tenants share';
COMMENT ON COLUMN rag.console_accounts.password_hash IS 'scrypt';
COMMENT ON COLUMN rag.console_accounts.failures IS 'since the last sign-in';
COMMENT ON COLUMN rag.console_accounts.unlocked_at IS 'failures before this no longer count';
CREATE TABLE rag.console_sessions (
    session text NOT NULL,
    tenant text NOT NULL,
    subject text NOT NULL,
    scopes text[] DEFAULT '{}'::text[] NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    first_used_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone NOT NULL
);
COMMENT ON COLUMN rag.console_sessions.session IS 'hash of the token without its signature; see rag_core.governance.access.session_of';
COMMENT ON COLUMN rag.console_sessions.last_used_at IS 'to the minute';
CREATE TABLE rag.dead_letters (
    id bigint NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    locator text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    stage text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    sha256 bytea NOT NULL,
    payload bytea,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    attempts integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    key bytea,
    headers jsonb DEFAULT '[]'::jsonb NOT NULL,
    size bigint
);
COMMENT ON COLUMN rag.dead_letters.topic IS 'empty for the push inbox';
COMMENT ON COLUMN rag.dead_letters."offset" IS 'of the message, or inbox.seq';
COMMENT ON COLUMN rag.dead_letters.payload IS 'the message, while it can be redriven';
COMMENT ON COLUMN rag.dead_letters.attributes IS 'the rest of the event, for a redrive';
COMMENT ON COLUMN rag.dead_letters.key IS 'of a topic''s message, usable or not';
COMMENT ON COLUMN rag.dead_letters.headers IS 'of the message: [name, base64 or null]';
COMMENT ON COLUMN rag.dead_letters.size IS 'bytes of the message''s value';
CREATE SEQUENCE rag.dead_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.dead_letters_id_seq OWNED BY rag.dead_letters.id;
CREATE TABLE rag.deployment_steps (
    id bigint NOT NULL,
    deployment bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    step text NOT NULL,
    passed boolean NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    weight smallint NOT NULL,
    seconds double precision NOT NULL,
    figures jsonb DEFAULT '{}'::jsonb NOT NULL
);
CREATE SEQUENCE rag.deployment_steps_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.deployment_steps_id_seq OWNED BY rag.deployment_steps.id;
CREATE TABLE rag.deployments (
    id bigint NOT NULL,
    target text NOT NULL,
    release text NOT NULL,
    spec jsonb NOT NULL,
    colour text NOT NULL,
    from_colour text NOT NULL,
    state text NOT NULL,
    "position" smallint DEFAULT '0'::smallint NOT NULL,
    steps smallint[] NOT NULL,
    weight smallint DEFAULT '0'::smallint NOT NULL,
    generation text DEFAULT ''::text NOT NULL,
    generation_before text DEFAULT ''::text NOT NULL,
    actor text NOT NULL,
    why text DEFAULT ''::text NOT NULL,
    wanted text DEFAULT ''::text NOT NULL,
    wanted_by text DEFAULT ''::text NOT NULL,
    wanted_why text DEFAULT ''::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    keep_until timestamp with time zone
);
COMMENT ON COLUMN rag.deployments.target IS 'local or kubernetes';
COMMENT ON COLUMN rag.deployments.spec IS 'what the target starts: interpreter and settings, or an image';
COMMENT ON COLUMN rag.deployments.colour IS 'blue or green';
COMMENT ON COLUMN rag.deployments.from_colour IS 'the colour that served before';
COMMENT ON COLUMN rag.deployments.state IS 'see rag_core.governance.audit.State';
COMMENT ON COLUMN rag.deployments."position" IS 'the step that is under way, from 0';
COMMENT ON COLUMN rag.deployments.steps IS 'weights it goes through, in per cent';
COMMENT ON COLUMN rag.deployments.weight IS 'per cent of the requests it should get';
COMMENT ON COLUMN rag.deployments.generation IS 'promoted with it; empty: none';
COMMENT ON COLUMN rag.deployments.generation_before IS 'active when that was promoted';
COMMENT ON COLUMN rag.deployments.wanted IS 'asked for and not done: switch or rollback';
COMMENT ON COLUMN rag.deployments.reason IS 'reason code of a refusal or rollback';
COMMENT ON COLUMN rag.deployments.keep_until IS 'until when the other colour is kept for a rollback';
CREATE SEQUENCE rag.deployments_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.deployments_id_seq OWNED BY rag.deployments.id;
CREATE TABLE rag.documents (
    doc_id uuid NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    shard smallint DEFAULT '0'::smallint NOT NULL,
    locator text NOT NULL,
    version bigint NOT NULL,
    text_version bigint NOT NULL,
    source_version bigint NOT NULL,
    token text NOT NULL,
    parsed_as text NOT NULL,
    content_hash bytea NOT NULL,
    text_hash bytea NOT NULL,
    bytes bigint NOT NULL,
    media_type text NOT NULL,
    title text DEFAULT ''::text NOT NULL,
    language text DEFAULT ''::text NOT NULL,
    text text NOT NULL,
    blocks jsonb DEFAULT '[]'::jsonb NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    flags text[] DEFAULT '{}'::text[] NOT NULL,
    acl text[],
    acl_inherited boolean DEFAULT false NOT NULL,
    run_id text NOT NULL,
    deleted_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    structure jsonb,
    created_at timestamp with time zone DEFAULT now()
);
COMMENT ON COLUMN rag.documents.version IS 'ours, monotonic per document';
COMMENT ON COLUMN rag.documents.text_version IS 'version at which text, title or blocks last changed';
COMMENT ON COLUMN rag.documents.source_version IS 'the source''s own for event sources, else equal to version';
COMMENT ON COLUMN rag.documents.token IS 'SourceItem.token the row was read at';
COMMENT ON COLUMN rag.documents.parsed_as IS 'fingerprint of parser version and settings';
COMMENT ON COLUMN rag.documents.content_hash IS 'sha256 of the raw bytes and what the connector said of them';
COMMENT ON COLUMN rag.documents.text_hash IS 'sha256 of the extracted text';
COMMENT ON COLUMN rag.documents.blocks IS '[[kind, start, end, level], ...]';
COMMENT ON COLUMN rag.documents.acl IS 'null: never known, not searchable';
COMMENT ON COLUMN rag.documents.acl_inherited IS 'acl is the default of the source';
COMMENT ON COLUMN rag.documents.run_id IS 'run or stream batch that wrote this version';
COMMENT ON COLUMN rag.documents.deleted_at IS 'tombstone';
COMMENT ON COLUMN rag.documents.structure IS 'the blocks with all that is known of them, see rag_core.content.parsing.to_rows';
COMMENT ON COLUMN rag.documents.created_at IS 'when it was stored first; null: before this was recorded';
CREATE UNLOGGED TABLE rag.embedding_turns (
    id bigint NOT NULL,
    lock_key bigint,
    tenant text NOT NULL,
    source text NOT NULL,
    shard smallint NOT NULL,
    run_id text NOT NULL,
    weight double precision NOT NULL,
    state text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    remaining bigint NOT NULL,
    rate double precision,
    used double precision NOT NULL
);
COMMENT ON COLUMN rag.embedding_turns.lock_key IS 'advisory lock that the run''s session holds';
COMMENT ON COLUMN rag.embedding_turns.state IS 'idle, waiting or working';
COMMENT ON COLUMN rag.embedding_turns.remaining IS 'bytes of the source that are still to do';
COMMENT ON COLUMN rag.embedding_turns.rate IS 'bytes a second while it works; null: not known yet';
COMMENT ON COLUMN rag.embedding_turns.used IS 'seconds of its tenant, divided by the tenant''s weight';
ALTER TABLE rag.embedding_turns ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rag.embedding_turns_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rag.embeddings (
    text_hash bytea NOT NULL,
    embedder text NOT NULL,
    vector bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.embeddings.embedder IS 'embedder fingerprint';
COMMENT ON COLUMN rag.embeddings.vector IS 'little-endian float32[dimensions]';
CREATE TABLE rag.erasures (
    doc_id uuid NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    source_version bigint NOT NULL,
    requested_by text NOT NULL,
    erased_at timestamp with time zone DEFAULT now() NOT NULL,
    receipt jsonb DEFAULT '{}'::jsonb NOT NULL
);
COMMENT ON COLUMN rag.erasures.source_version IS 'what is not newer than this never comes back';
COMMENT ON COLUMN rag.erasures.receipt IS 'what was removed where, without content';
CREATE TABLE rag.evaluation_questions (
    id bigint NOT NULL,
    tenant text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    question text NOT NULL,
    expected text[] DEFAULT '{}'::text[] NOT NULL,
    patterns text[] DEFAULT '{}'::text[] NOT NULL,
    sources text[] DEFAULT '{}'::text[] NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    origin text NOT NULL,
    state text DEFAULT 'proposed'::text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    rating bigint,
    doc_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    decided_at timestamp with time zone,
    decided_by text DEFAULT ''::text NOT NULL
);
COMMENT ON COLUMN rag.evaluation_questions.origin IS 'feedback or heading';
COMMENT ON COLUMN rag.evaluation_questions.note IS 'what the user said';
COMMENT ON COLUMN rag.evaluation_questions.rating IS 'a rating that may be gone';
CREATE SEQUENCE rag.evaluation_questions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.evaluation_questions_id_seq OWNED BY rag.evaluation_questions.id;
CREATE TABLE rag.evaluation_results (
    run bigint NOT NULL,
    number integer NOT NULL,
    id text NOT NULL,
    question text NOT NULL,
    tags text[] NOT NULL,
    grade text NOT NULL,
    recall double precision,
    ndcg double precision,
    answer text NOT NULL,
    doc_ids uuid[] NOT NULL
);
COMMENT ON COLUMN rag.evaluation_results.doc_ids IS 'documents that the answer quotes';
CREATE TABLE rag.evaluation_runs (
    id bigint NOT NULL,
    tenant text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    origin text NOT NULL,
    actor text NOT NULL,
    name text NOT NULL,
    series text NOT NULL,
    generation text NOT NULL,
    answerer text NOT NULL,
    top_k integer NOT NULL,
    figures jsonb NOT NULL,
    tags jsonb NOT NULL,
    compared_with bigint,
    worse boolean DEFAULT false NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    accepted boolean DEFAULT false NOT NULL
);
COMMENT ON COLUMN rag.evaluation_runs.origin IS 'command, gate or schedule';
COMMENT ON COLUMN rag.evaluation_runs.name IS 'what was asked, in words';
COMMENT ON COLUMN rag.evaluation_runs.series IS 'runs over the same questions; the last is compared';
COMMENT ON COLUMN rag.evaluation_runs.answerer IS 'fingerprint of what answered; empty: not known';
COMMENT ON COLUMN rag.evaluation_runs.tags IS 'the figures of each tag';
COMMENT ON COLUMN rag.evaluation_runs.compared_with IS 'a run that may be gone';
COMMENT ON COLUMN rag.evaluation_runs.detail IS 'the comparison in a line';
CREATE SEQUENCE rag.evaluation_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.evaluation_runs_id_seq OWNED BY rag.evaluation_runs.id;
CREATE TABLE rag.former_texts (
    doc_id uuid NOT NULL,
    text_hash bytea NOT NULL
);
COMMENT ON COLUMN rag.former_texts.text_hash IS 'of a chunk that it has no more';
CREATE TABLE rag.generation_documents (
    generation text NOT NULL,
    doc_id uuid NOT NULL,
    indexed_version bigint NOT NULL,
    indexed_at timestamp with time zone DEFAULT now()
);
COMMENT ON COLUMN rag.generation_documents.indexed_version IS 'written only after the engine has flushed it';
COMMENT ON COLUMN rag.generation_documents.indexed_at IS 'when the engine flushed this version; null: before this was recorded';
CREATE TABLE rag.generations (
    name text NOT NULL,
    state text NOT NULL,
    embedder text NOT NULL,
    dimensions integer NOT NULL,
    chunker text NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    promoted_at timestamp with time zone,
    settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    evaluation jsonb,
    actor text DEFAULT 'pipeline'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    ready_at timestamp with time zone,
    evaluation_wanted_at timestamp with time zone,
    promoted_from text,
    keep_until timestamp with time zone,
    retired_at timestamp with time zone,
    CONSTRAINT ck_generations_state CHECK ((state = ANY (ARRAY['building'::text, 'ready'::text, 'active'::text, 'retired'::text])))
);
COMMENT ON COLUMN rag.generations.settings IS 'what reproduces embedder and chunker';
COMMENT ON COLUMN rag.generations.counts IS 'documents and points when it was built';
COMMENT ON COLUMN rag.generations.evaluation IS 'checks of the gate with their figures, parity included';
COMMENT ON COLUMN rag.generations.actor IS 'who started it';
COMMENT ON COLUMN rag.generations.reason IS 'why, in their words';
COMMENT ON COLUMN rag.generations.evaluation_wanted_at IS 'someone asked for the gate';
COMMENT ON COLUMN rag.generations.promoted_from IS 'the generation readers were on before: what a rollback returns to';
COMMENT ON COLUMN rag.generations.keep_until IS 'end of the grace period after readers left it';
CREATE TABLE rag.held_deletions (
    doc_id uuid NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    held_at timestamp with time zone NOT NULL
);
COMMENT ON COLUMN rag.held_deletions.held_at IS 'an approval covers what was held before it';
CREATE TABLE rag.history (
    step integer NOT NULL,
    at timestamp with time zone NOT NULL,
    series text NOT NULL,
    tenant text NOT NULL,
    label text NOT NULL,
    total double precision NOT NULL,
    samples bigint NOT NULL,
    highest double precision NOT NULL
);
COMMENT ON COLUMN rag.history.step IS 'seconds that a row covers: 60, 600, 3600';
COMMENT ON COLUMN rag.history.at IS 'where that time begins';
COMMENT ON COLUMN rag.history.tenant IS 'empty: of the platform';
COMMENT ON COLUMN rag.history.total IS 'what was counted, or the sum of the samples';
COMMENT ON COLUMN rag.history.samples IS 'of a gauge; 0: a counter';
COMMENT ON COLUMN rag.history.highest IS 'of the samples';
CREATE TABLE rag.inbox (
    seq bigint NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    locator text NOT NULL,
    doc_id uuid NOT NULL,
    operation text NOT NULL,
    source_version bigint NOT NULL,
    content bytea,
    media_type text,
    title text,
    acl text[],
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    idempotency_key text,
    request_hash bytea NOT NULL,
    subject text NOT NULL,
    event_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    applied_at timestamp with time zone,
    outcome text,
    slow boolean DEFAULT false NOT NULL,
    traceparent text,
    CONSTRAINT ck_inbox_operation CHECK ((operation = ANY (ARRAY['put'::text, 'delete'::text])))
);
COMMENT ON COLUMN rag.inbox.source_version IS 'the caller''s, or one more than the last';
COMMENT ON COLUMN rag.inbox.content IS 'null for a deletion, and once it was applied';
COMMENT ON COLUMN rag.inbox.acl IS 'null: keep what the document has';
COMMENT ON COLUMN rag.inbox.request_hash IS 'sha256 of what was asked';
COMMENT ON COLUMN rag.inbox.subject IS 'who asked';
COMMENT ON COLUMN rag.inbox.outcome IS 'applied, stale, deleted or dead';
COMMENT ON COLUMN rag.inbox.slow IS 'left to the reader of large changes';
COMMENT ON COLUMN rag.inbox.traceparent IS 'W3C context of a sampled request';
CREATE SEQUENCE rag.inbox_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.inbox_seq_seq OWNED BY rag.inbox.seq;
CREATE TABLE rag.installation (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    single boolean DEFAULT true NOT NULL,
    CONSTRAINT ck_installation_single CHECK (single)
);
COMMENT ON COLUMN rag.installation.single IS 'so that there is one row';
CREATE UNLOGGED TABLE rag.listed_items (
    listing bigint NOT NULL,
    shard smallint NOT NULL,
    locator text NOT NULL,
    token text,
    size bigint,
    modified_at timestamp with time zone,
    reason text,
    message text,
    skipped boolean NOT NULL
);
CREATE UNLOGGED TABLE rag.listings (
    id bigint NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    options text NOT NULL,
    shards integer NOT NULL,
    taken smallint[] NOT NULL,
    started_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone,
    change_token text,
    cursor jsonb
);
COMMENT ON COLUMN rag.listings.options IS 'fingerprint of what the connector was made from';
COMMENT ON COLUMN rag.listings.taken IS 'shards that never use it any more';
COMMENT ON COLUMN rag.listings.completed_at IS 'null: under way, or its run died';
ALTER TABLE rag.listings ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rag.listings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rag.object_notices (
    tenant text NOT NULL,
    source text NOT NULL,
    bucket text NOT NULL,
    object_key text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    revision bigint DEFAULT '1'::bigint NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    not_before timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.object_notices.revision IS 'grows with each event; a worker forgets only what it saw';
COMMENT ON COLUMN rag.object_notices.attempts IS 'that failed';
COMMENT ON COLUMN rag.object_notices.not_before IS 'until then a worker has it in hand, or waits after a failure';
CREATE TABLE rag.quality_runs (
    run_id text NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    shard smallint NOT NULL,
    score double precision NOT NULL,
    profile jsonb NOT NULL,
    findings jsonb NOT NULL,
    failed integer NOT NULL,
    tried integer NOT NULL,
    exceeded boolean NOT NULL,
    good boolean NOT NULL,
    finished_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.quality_runs.score IS '0..100';
COMMENT ON COLUMN rag.quality_runs.profile IS 'what the shard looked like; see rag_core.content.quality.sources.Profile';
COMMENT ON COLUMN rag.quality_runs.findings IS 'values by source rule that fired, as warnings and errors';
COMMENT ON COLUMN rag.quality_runs.failed IS 'inputs this run sent to quarantine';
COMMENT ON COLUMN rag.quality_runs.tried IS 'inputs this run read';
COMMENT ON COLUMN rag.quality_runs.exceeded IS 'more failed than the source allows';
COMMENT ON COLUMN rag.quality_runs.good IS 'later runs are compared with the newest good one';
CREATE TABLE rag.quarantine (
    id bigint NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    shard smallint DEFAULT '0'::smallint NOT NULL,
    locator text NOT NULL,
    stage text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    token text,
    parsed_as text,
    attempts integer DEFAULT 1 NOT NULL,
    skipped boolean DEFAULT false NOT NULL,
    run_id text NOT NULL,
    first_at timestamp with time zone DEFAULT now() NOT NULL,
    last_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.quarantine.stage IS 'list, fetch, parse, chunk, embed, index';
COMMENT ON COLUMN rag.quarantine.token IS 'SourceItem.token it failed at, not tried again after the last attempt; null: try in every run';
COMMENT ON COLUMN rag.quarantine.parsed_as IS 'parser fingerprint it failed with; a new parser tries again';
COMMENT ON COLUMN rag.quarantine.skipped IS 'left out by policy or discarded; not a failure';
CREATE SEQUENCE rag.quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.quarantine_id_seq OWNED BY rag.quarantine.id;
CREATE TABLE rag.query_replicas (
    replica text NOT NULL,
    embedders text[] NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.query_replicas.replica IS 'host, process and start of a query server';
COMMENT ON COLUMN rag.query_replicas.embedders IS 'fingerprints it can embed queries with';
CREATE TABLE rag.ratings (
    id bigint NOT NULL,
    tenant text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    question text NOT NULL,
    answer text NOT NULL,
    good boolean NOT NULL,
    comment text DEFAULT ''::text NOT NULL,
    generation text DEFAULT ''::text NOT NULL,
    citations jsonb DEFAULT '[]'::jsonb NOT NULL,
    answer_hash bytea,
    right_doc_id uuid
);
COMMENT ON COLUMN rag.ratings.citations IS 'spans that were cited';
COMMENT ON COLUMN rag.ratings.answer_hash IS 'sha256 of question and answer; null: from before it was kept';
COMMENT ON COLUMN rag.ratings.right_doc_id IS 'the document that has the answer, as the user says';
CREATE SEQUENCE rag.ratings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.ratings_id_seq OWNED BY rag.ratings.id;
CREATE TABLE rag.reading_progress (
    tenant text NOT NULL,
    source text NOT NULL,
    shard smallint NOT NULL,
    run_id text NOT NULL,
    unread bigint NOT NULL,
    outdated bigint NOT NULL,
    bytes bigint NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.reading_progress.unread IS 'listed items without a stored document';
COMMENT ON COLUMN rag.reading_progress.outdated IS 'listed items whose stored document is older';
COMMENT ON COLUMN rag.reading_progress.bytes IS 'of both, about';
CREATE TABLE rag.run_stages (
    run_id text NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    shard smallint NOT NULL,
    stage text NOT NULL,
    counts jsonb NOT NULL,
    seconds jsonb DEFAULT '{}'::jsonb NOT NULL,
    complete boolean NOT NULL,
    problem text,
    finished_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.run_stages.problem IS 'reason code when the stage did not do all it should';
CREATE TABLE rag.schema_readers (
    oldest text NOT NULL
);
COMMENT ON COLUMN rag.schema_readers.oldest IS 'revision whose query servers can read this schema; a migration that contracts adds a higher one';
CREATE TABLE rag.schema_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE rag.source_items (
    tenant text NOT NULL,
    source text NOT NULL,
    locator text NOT NULL,
    state jsonb NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.source_items.state IS 'what the connector remembers; its own format';
CREATE TABLE rag.source_operations (
    id bigint NOT NULL,
    tenant text NOT NULL,
    actor text NOT NULL,
    unrestricted boolean NOT NULL,
    action text NOT NULL,
    source text NOT NULL,
    request jsonb DEFAULT '{}'::jsonb NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    result jsonb,
    reason text DEFAULT ''::text NOT NULL,
    message text DEFAULT ''::text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone
);
COMMENT ON COLUMN rag.source_operations.tenant IS 'the caller''s';
COMMENT ON COLUMN rag.source_operations.unrestricted IS 'allow-lists do not apply: platform scope';
COMMENT ON COLUMN rag.source_operations.action IS 'see rag_core.content.sources.operation_store.Action';
COMMENT ON COLUMN rag.source_operations.state IS 'queued, running, succeeded or failed';
COMMENT ON COLUMN rag.source_operations.reason IS 'reason code of a failure';
CREATE SEQUENCE rag.source_operations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.source_operations_id_seq OWNED BY rag.source_operations.id;
CREATE TABLE rag.source_problems (
    place text NOT NULL,
    message text NOT NULL,
    source text NOT NULL,
    tenant text NOT NULL,
    reason text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.source_problems.place IS 'name of the file';
COMMENT ON COLUMN rag.source_problems.tenant IS 'empty: the file does not say';
CREATE TABLE rag.source_runs (
    tenant text NOT NULL,
    source text NOT NULL,
    shard smallint NOT NULL,
    run_id text NOT NULL,
    state text NOT NULL,
    reason text,
    message text,
    queued_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    failing_since timestamp with time zone,
    CONSTRAINT ck_source_runs_state CHECK ((state = ANY (ARRAY['queued'::text, 'running'::text, 'succeeded'::text, 'failed'::text, 'canceled'::text])))
);
COMMENT ON COLUMN rag.source_runs.reason IS 'reason code of a failure';
COMMENT ON COLUMN rag.source_runs.failing_since IS 'first failure since the last good run';
CREATE TABLE rag.source_states (
    tenant text NOT NULL,
    source text NOT NULL,
    kind text NOT NULL,
    configured boolean NOT NULL,
    has_runs boolean NOT NULL,
    automatic boolean NOT NULL,
    paused_at timestamp with time zone,
    freshness_minutes integer,
    observed_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.source_states.configured IS 'whether a source file defines it';
COMMENT ON COLUMN rag.source_states.has_runs IS 'false: the stream worker brings it up to date';
COMMENT ON COLUMN rag.source_states.automatic IS 'whether it has a sensor or a schedule';
COMMENT ON COLUMN rag.source_states.paused_at IS 'since when all of them are off';
COMMENT ON COLUMN rag.source_states.freshness_minutes IS 'age of its last complete listing at which it is stale';
CREATE TABLE rag.sources (
    tenant text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    shards integer DEFAULT 1 NOT NULL,
    cursor jsonb DEFAULT '{}'::jsonb NOT NULL,
    last_complete_at timestamp with time zone,
    change_token text,
    acl text[],
    held_deletions integer DEFAULT 0 NOT NULL,
    held_at timestamp with time zone,
    deletions_approved_at timestamp with time zone,
    deletions_approved integer,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    egress text[],
    egress_refused_at timestamp with time zone
);
COMMENT ON COLUMN rag.sources.change_token IS 'connector change token of the last complete run, per shard joined';
COMMENT ON COLUMN rag.sources.acl IS 'default ACL given to documents whose connector reports none';
COMMENT ON COLUMN rag.sources.deletions_approved_at IS 'an operator released what was held before this';
COMMENT ON COLUMN rag.sources.deletions_approved IS 'how many deletions the operator saw and released';
COMMENT ON COLUMN rag.sources.egress IS 'endpoints its file allows its text to go to; null: as its tenant';
COMMENT ON COLUMN rag.sources.egress_refused_at IS 'its text may not go to the embedding model';
CREATE TABLE rag.stream_offsets (
    stream text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    epoch integer DEFAULT 0 NOT NULL,
    epoch_from bigint DEFAULT '0'::bigint NOT NULL,
    topic_id text DEFAULT ''::text NOT NULL
);
COMMENT ON COLUMN rag.stream_offsets.stream IS '<tenant>/<source>';
COMMENT ON COLUMN rag.stream_offsets.next_offset IS 'first offset that is not applied';
COMMENT ON COLUMN rag.stream_offsets.epoch IS 'orders above offsets: versions carry it';
COMMENT ON COLUMN rag.stream_offsets.epoch_from IS 'first offset of the epoch';
COMMENT ON COLUMN rag.stream_offsets.topic_id IS 'the broker''s; empty: it gave none';
CREATE TABLE rag.stream_workers (
    worker text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    beat_at timestamp with time zone DEFAULT now() NOT NULL,
    details jsonb DEFAULT '{}'::jsonb NOT NULL
);
COMMENT ON COLUMN rag.stream_workers.details IS 'per stream: state, lag, counts';
CREATE TABLE rag.tenants (
    name text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    egress text[],
    egress_sources jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    erase_audit text,
    erased_at timestamp with time zone,
    receipt jsonb,
    CONSTRAINT ck_tenants_state CHECK ((state = ANY (ARRAY['active'::text, 'suspended'::text, 'erasing'::text, 'erased'::text])))
);
COMMENT ON COLUMN rag.tenants.reason IS 'why it is in this state';
COMMENT ON COLUMN rag.tenants.egress IS 'endpoints its text may go to; null: RAG_EGRESS_DEFAULT';
COMMENT ON COLUMN rag.tenants.egress_sources IS 'the same of sources with less';
COMMENT ON COLUMN rag.tenants.erase_audit IS 'asked with an erasure: keep or remove; null: none was asked for';
COMMENT ON COLUMN rag.tenants.erased_at IS 'of the last erasure';
COMMENT ON COLUMN rag.tenants.receipt IS 'of that erasure: what was removed where, without content';
CREATE TABLE rag.token_revocations (
    tenant text NOT NULL,
    subject text NOT NULL,
    before timestamp with time zone NOT NULL,
    forget_at timestamp with time zone NOT NULL,
    revoked_by text
);
COMMENT ON COLUMN rag.token_revocations.before IS 'tokens issued before this are refused';
COMMENT ON COLUMN rag.token_revocations.forget_at IS 'no such token can be valid any more';
CREATE TABLE rag.unanswered_questions (
    tenant text NOT NULL,
    question_hash text NOT NULL,
    question text,
    outcome text NOT NULL,
    asked bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL
);
COMMENT ON COLUMN rag.unanswered_questions.question_hash IS 'keyed: equal for equal questions of a tenant';
COMMENT ON COLUMN rag.unanswered_questions.question IS 'its text; null unless RAG_UNANSWERED_QUESTIONS is plain';
COMMENT ON COLUMN rag.unanswered_questions.outcome IS 'of the last time';
CREATE TABLE rag.usage (
    day date NOT NULL,
    tenant text NOT NULL,
    key_id text NOT NULL,
    writer text NOT NULL,
    calls bigint NOT NULL,
    refused bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);
COMMENT ON COLUMN rag.usage.day IS 'in UTC';
COMMENT ON COLUMN rag.usage.key_id IS 'of an API key; empty: calls with a token';
COMMENT ON COLUMN rag.usage.writer IS 'the process that counted it; empty: all, when the day is over';
COMMENT ON COLUMN rag.usage.refused IS 'by a budget';
CREATE TABLE rag.visibility_changes (
    doc_id uuid NOT NULL,
    "position" bigint NOT NULL,
    tenant text NOT NULL,
    source text NOT NULL,
    shard smallint NOT NULL,
    version bigint NOT NULL,
    acl text[],
    restricts boolean NOT NULL
);
COMMENT ON COLUMN rag.visibility_changes.acl IS 'who may see it now; null: nobody';
COMMENT ON COLUMN rag.visibility_changes.restricts IS 'someone lost access since the index was told';
ALTER TABLE rag.visibility_changes ALTER COLUMN "position" ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME rag.visibility_changes_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE rag.webhook_deliveries (
    id bigint NOT NULL,
    webhook_id text NOT NULL,
    event_id uuid NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    queued_at timestamp with time zone DEFAULT now() NOT NULL,
    next_attempt_at timestamp with time zone,
    last_attempt_at timestamp with time zone,
    status integer,
    reason text DEFAULT ''::text NOT NULL,
    milliseconds integer
);
COMMENT ON COLUMN rag.webhook_deliveries.state IS 'pending, delivered or failed';
COMMENT ON COLUMN rag.webhook_deliveries.queued_at IS 'or queued again by an operator';
COMMENT ON COLUMN rag.webhook_deliveries.next_attempt_at IS 'while it is pending';
COMMENT ON COLUMN rag.webhook_deliveries.status IS 'HTTP status of the last answer';
COMMENT ON COLUMN rag.webhook_deliveries.reason IS 'reason code of the last failure';
COMMENT ON COLUMN rag.webhook_deliveries.milliseconds IS 'of the last attempt';
CREATE SEQUENCE rag.webhook_deliveries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE rag.webhook_deliveries_id_seq OWNED BY rag.webhook_deliveries.id;
CREATE TABLE rag.webhook_events (
    id uuid NOT NULL,
    tenant text NOT NULL,
    type text NOT NULL,
    doc_id uuid,
    data jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.webhook_events.tenant IS 'empty: of the platform';
COMMENT ON COLUMN rag.webhook_events.doc_id IS 'the document it names, for its erasure';
CREATE TABLE rag.webhooks (
    id text NOT NULL,
    tenant text NOT NULL,
    url text NOT NULL,
    events text[] NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    secret_number integer DEFAULT 1 NOT NULL,
    previous_secret_until timestamp with time zone,
    enabled boolean DEFAULT true NOT NULL,
    disabled_reason text DEFAULT ''::text NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    not_before timestamp with time zone,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON COLUMN rag.webhooks.events IS 'types, `document.*` or `*`';
COMMENT ON COLUMN rag.webhooks.secret_number IS 'of the signing secret';
COMMENT ON COLUMN rag.webhooks.previous_secret_until IS 'until when messages are also signed with the secret before';
COMMENT ON COLUMN rag.webhooks.failures IS 'in a row';
COMMENT ON COLUMN rag.webhooks.not_before IS 'nothing is sent before, because the receiver failed';
ALTER TABLE ONLY rag.audit ALTER COLUMN id SET DEFAULT nextval('rag.audit_id_seq'::regclass);
ALTER TABLE ONLY rag.dead_letters ALTER COLUMN id SET DEFAULT nextval('rag.dead_letters_id_seq'::regclass);
ALTER TABLE ONLY rag.deployment_steps ALTER COLUMN id SET DEFAULT nextval('rag.deployment_steps_id_seq'::regclass);
ALTER TABLE ONLY rag.deployments ALTER COLUMN id SET DEFAULT nextval('rag.deployments_id_seq'::regclass);
ALTER TABLE ONLY rag.evaluation_questions ALTER COLUMN id SET DEFAULT nextval('rag.evaluation_questions_id_seq'::regclass);
ALTER TABLE ONLY rag.evaluation_runs ALTER COLUMN id SET DEFAULT nextval('rag.evaluation_runs_id_seq'::regclass);
ALTER TABLE ONLY rag.inbox ALTER COLUMN seq SET DEFAULT nextval('rag.inbox_seq_seq'::regclass);
ALTER TABLE ONLY rag.quarantine ALTER COLUMN id SET DEFAULT nextval('rag.quarantine_id_seq'::regclass);
ALTER TABLE ONLY rag.ratings ALTER COLUMN id SET DEFAULT nextval('rag.ratings_id_seq'::regclass);
ALTER TABLE ONLY rag.source_operations ALTER COLUMN id SET DEFAULT nextval('rag.source_operations_id_seq'::regclass);
ALTER TABLE ONLY rag.webhook_deliveries ALTER COLUMN id SET DEFAULT nextval('rag.webhook_deliveries_id_seq'::regclass);
ALTER TABLE ONLY rag.alerts
    ADD CONSTRAINT pk_alerts PRIMARY KEY (key);
ALTER TABLE ONLY rag.announced_states
    ADD CONSTRAINT pk_announced_states PRIMARY KEY (tenant, source);
ALTER TABLE ONLY rag.api_keys
    ADD CONSTRAINT pk_api_keys PRIMARY KEY (key_id);
ALTER TABLE ONLY rag.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (id);
ALTER TABLE ONLY rag.audit_checkpoints
    ADD CONSTRAINT pk_audit_checkpoints PRIMARY KEY (tenant, seq);
ALTER TABLE ONLY rag.audit_documents
    ADD CONSTRAINT pk_audit_documents PRIMARY KEY (doc_id);
ALTER TABLE ONLY rag.audit_heads
    ADD CONSTRAINT pk_audit_heads PRIMARY KEY (tenant);
ALTER TABLE ONLY rag.budgets
    ADD CONSTRAINT pk_budgets PRIMARY KEY (tenant, key_id);
ALTER TABLE ONLY rag.chunkings
    ADD CONSTRAINT pk_chunkings PRIMARY KEY (doc_id, chunker);
ALTER TABLE ONLY rag.chunks
    ADD CONSTRAINT pk_chunks PRIMARY KEY (doc_id, chunker, ordinal);
ALTER TABLE ONLY rag.colours
    ADD CONSTRAINT pk_colours PRIMARY KEY (target, name);
ALTER TABLE ONLY rag.console_accounts
    ADD CONSTRAINT pk_console_accounts PRIMARY KEY (name);
ALTER TABLE ONLY rag.console_sessions
    ADD CONSTRAINT pk_console_sessions PRIMARY KEY (session);
ALTER TABLE ONLY rag.dead_letters
    ADD CONSTRAINT pk_dead_letters PRIMARY KEY (id);
ALTER TABLE ONLY rag.deployment_steps
    ADD CONSTRAINT pk_deployment_steps PRIMARY KEY (id);
ALTER TABLE ONLY rag.deployments
    ADD CONSTRAINT pk_deployments PRIMARY KEY (id);
ALTER TABLE ONLY rag.documents
    ADD CONSTRAINT pk_documents PRIMARY KEY (doc_id);
ALTER TABLE ONLY rag.embedding_turns
    ADD CONSTRAINT pk_embedding_turns PRIMARY KEY (id);
ALTER TABLE ONLY rag.embeddings
    ADD CONSTRAINT pk_embeddings PRIMARY KEY (text_hash, embedder);
ALTER TABLE ONLY rag.erasures
    ADD CONSTRAINT pk_erasures PRIMARY KEY (doc_id);
ALTER TABLE ONLY rag.evaluation_questions
    ADD CONSTRAINT pk_evaluation_questions PRIMARY KEY (id);
ALTER TABLE ONLY rag.evaluation_results
    ADD CONSTRAINT pk_evaluation_results PRIMARY KEY (run, number);
ALTER TABLE ONLY rag.evaluation_runs
    ADD CONSTRAINT pk_evaluation_runs PRIMARY KEY (id);
ALTER TABLE ONLY rag.former_texts
    ADD CONSTRAINT pk_former_texts PRIMARY KEY (doc_id, text_hash);
ALTER TABLE ONLY rag.generation_documents
    ADD CONSTRAINT pk_generation_documents PRIMARY KEY (generation, doc_id);
ALTER TABLE ONLY rag.generations
    ADD CONSTRAINT pk_generations PRIMARY KEY (name);
ALTER TABLE ONLY rag.held_deletions
    ADD CONSTRAINT pk_held_deletions PRIMARY KEY (doc_id);
ALTER TABLE ONLY rag.history
    ADD CONSTRAINT pk_history PRIMARY KEY (step, at, series, tenant, label);
ALTER TABLE ONLY rag.inbox
    ADD CONSTRAINT pk_inbox PRIMARY KEY (seq);
ALTER TABLE ONLY rag.installation
    ADD CONSTRAINT pk_installation PRIMARY KEY (single);
ALTER TABLE ONLY rag.listings
    ADD CONSTRAINT pk_listings PRIMARY KEY (id);
ALTER TABLE ONLY rag.object_notices
    ADD CONSTRAINT pk_object_notices PRIMARY KEY (tenant, source, bucket, object_key);
ALTER TABLE ONLY rag.quality_runs
    ADD CONSTRAINT pk_quality_runs PRIMARY KEY (run_id, tenant, source, shard);
ALTER TABLE ONLY rag.quarantine
    ADD CONSTRAINT pk_quarantine PRIMARY KEY (id);
ALTER TABLE ONLY rag.query_replicas
    ADD CONSTRAINT pk_query_replicas PRIMARY KEY (replica);
ALTER TABLE ONLY rag.ratings
    ADD CONSTRAINT pk_ratings PRIMARY KEY (id);
ALTER TABLE ONLY rag.reading_progress
    ADD CONSTRAINT pk_reading_progress PRIMARY KEY (tenant, source, shard);
ALTER TABLE ONLY rag.run_stages
    ADD CONSTRAINT pk_run_stages PRIMARY KEY (run_id, tenant, source, shard, stage);
ALTER TABLE ONLY rag.schema_readers
    ADD CONSTRAINT pk_schema_readers PRIMARY KEY (oldest);
ALTER TABLE ONLY rag.source_items
    ADD CONSTRAINT pk_source_items PRIMARY KEY (tenant, source, locator);
ALTER TABLE ONLY rag.source_operations
    ADD CONSTRAINT pk_source_operations PRIMARY KEY (id);
ALTER TABLE ONLY rag.source_problems
    ADD CONSTRAINT pk_source_problems PRIMARY KEY (place, message);
ALTER TABLE ONLY rag.source_runs
    ADD CONSTRAINT pk_source_runs PRIMARY KEY (tenant, source, shard);
ALTER TABLE ONLY rag.source_states
    ADD CONSTRAINT pk_source_states PRIMARY KEY (tenant, source);
ALTER TABLE ONLY rag.sources
    ADD CONSTRAINT pk_sources PRIMARY KEY (tenant, name);
ALTER TABLE ONLY rag.stream_offsets
    ADD CONSTRAINT pk_stream_offsets PRIMARY KEY (stream, topic, partition);
ALTER TABLE ONLY rag.stream_workers
    ADD CONSTRAINT pk_stream_workers PRIMARY KEY (worker);
ALTER TABLE ONLY rag.tenants
    ADD CONSTRAINT pk_tenants PRIMARY KEY (name);
ALTER TABLE ONLY rag.token_revocations
    ADD CONSTRAINT pk_token_revocations PRIMARY KEY (tenant, subject);
ALTER TABLE ONLY rag.unanswered_questions
    ADD CONSTRAINT pk_unanswered_questions PRIMARY KEY (tenant, question_hash);
ALTER TABLE ONLY rag.usage
    ADD CONSTRAINT pk_usage PRIMARY KEY (day, tenant, key_id, writer);
ALTER TABLE ONLY rag.visibility_changes
    ADD CONSTRAINT pk_visibility_changes PRIMARY KEY (doc_id);
ALTER TABLE ONLY rag.webhook_deliveries
    ADD CONSTRAINT pk_webhook_deliveries PRIMARY KEY (id);
ALTER TABLE ONLY rag.webhook_events
    ADD CONSTRAINT pk_webhook_events PRIMARY KEY (id);
ALTER TABLE ONLY rag.webhooks
    ADD CONSTRAINT pk_webhooks PRIMARY KEY (id);
ALTER TABLE ONLY rag.schema_version
    ADD CONSTRAINT schema_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY rag.chunks
    ADD CONSTRAINT uq_chunks_chunker_chunk_id UNIQUE (chunker, chunk_id);
ALTER TABLE ONLY rag.dead_letters
    ADD CONSTRAINT uq_dead_letters_tenant_source_topic_partition_offset UNIQUE (tenant, source, topic, partition, "offset");
ALTER TABLE ONLY rag.documents
    ADD CONSTRAINT uq_documents_tenant_source_locator UNIQUE (tenant, source, locator);
ALTER TABLE ONLY rag.quarantine
    ADD CONSTRAINT uq_quarantine_tenant_source_locator UNIQUE (tenant, source, locator);
CREATE INDEX ix_audit_at ON rag.audit USING btree (at);
CREATE UNIQUE INDEX ix_audit_chain ON rag.audit USING btree (COALESCE(tenant, ''::text), chain_seq);
CREATE INDEX ix_audit_doc_id ON rag.audit USING btree (doc_id) WHERE (doc_id IS NOT NULL);
CREATE INDEX ix_chunkings_rejected ON rag.chunkings USING btree (doc_id) WHERE rejected;
CREATE INDEX ix_chunks_text_hash ON rag.chunks USING btree (text_hash);
CREATE INDEX ix_console_sessions_tenant ON rag.console_sessions USING btree (tenant, last_used_at);
CREATE INDEX ix_dead_letters_locator ON rag.dead_letters USING btree (tenant, source, locator);
CREATE INDEX ix_deployment_steps_deployment ON rag.deployment_steps USING btree (deployment, id);
CREATE INDEX ix_documents_source_shard ON rag.documents USING btree (tenant, source, shard) INCLUDE (doc_id, version, text_version, deleted_at, run_id);
CREATE INDEX ix_documents_updated_at ON rag.documents USING btree (tenant, updated_at, doc_id);
CREATE INDEX ix_evaluation_questions_state ON rag.evaluation_questions USING btree (tenant, state, id);
CREATE INDEX ix_evaluation_runs_series ON rag.evaluation_runs USING btree (tenant, series, id);
CREATE INDEX ix_former_texts_text_hash ON rag.former_texts USING btree (text_hash);
CREATE INDEX ix_held_deletions_source ON rag.held_deletions USING btree (tenant, source);
CREATE INDEX ix_inbox_deletions ON rag.inbox USING btree (tenant, source, seq) WHERE ((applied_at IS NULL) AND (operation = 'delete'::text));
CREATE INDEX ix_inbox_doc_id ON rag.inbox USING btree (doc_id, seq);
CREATE INDEX ix_inbox_lanes ON rag.inbox USING btree (tenant, source, seq) WHERE (applied_at IS NULL);
CREATE INDEX ix_inbox_pending ON rag.inbox USING btree (seq) WHERE (applied_at IS NULL);
CREATE INDEX ix_listed_items_listing ON rag.listed_items USING btree (listing, shard);
CREATE INDEX ix_listings_source ON rag.listings USING btree (tenant, source, id);
CREATE INDEX ix_object_notices_received_at ON rag.object_notices USING btree (received_at);
CREATE INDEX ix_quality_runs_source ON rag.quality_runs USING btree (tenant, source, shard, finished_at);
CREATE INDEX ix_ratings_tenant ON rag.ratings USING btree (tenant, id);
CREATE INDEX ix_run_stages_source ON rag.run_stages USING btree (tenant, source, finished_at);
CREATE INDEX ix_source_operations_open ON rag.source_operations USING btree (state, id) WHERE (finished_at IS NULL);
CREATE INDEX ix_visibility_changes_shard ON rag.visibility_changes USING btree (tenant, source, shard, "position");
CREATE INDEX ix_webhook_deliveries_due ON rag.webhook_deliveries USING btree (webhook_id, next_attempt_at) WHERE (state = 'pending'::text);
CREATE INDEX ix_webhook_deliveries_event_id ON rag.webhook_deliveries USING btree (event_id);
CREATE INDEX ix_webhook_deliveries_webhook_id ON rag.webhook_deliveries USING btree (webhook_id, id);
CREATE INDEX ix_webhook_events_created_at ON rag.webhook_events USING btree (created_at);
CREATE INDEX ix_webhook_events_doc_id ON rag.webhook_events USING btree (doc_id) WHERE (doc_id IS NOT NULL);
CREATE INDEX ix_webhooks_tenant ON rag.webhooks USING btree (tenant);
CREATE UNIQUE INDEX uq_deployments_target ON rag.deployments USING btree (target) WHERE (finished_at IS NULL);
CREATE UNIQUE INDEX uq_evaluation_questions_question ON rag.evaluation_questions USING btree (tenant, md5(question));
CREATE UNIQUE INDEX uq_evaluation_runs_accepted ON rag.evaluation_runs USING btree (tenant, series) WHERE accepted;
CREATE UNIQUE INDEX uq_generations_active ON rag.generations USING btree (state) WHERE (state = 'active'::text);
CREATE UNIQUE INDEX uq_inbox_idempotency_key ON rag.inbox USING btree (tenant, idempotency_key) WHERE (idempotency_key IS NOT NULL);
CREATE UNIQUE INDEX uq_ratings_answer ON rag.ratings USING btree (tenant, actor, answer_hash);
CREATE TRIGGER announce_revocation AFTER INSERT ON rag.inbox FOR EACH ROW WHEN ((new.operation = 'delete'::text)) EXECUTE FUNCTION rag.announce_revocation();
CREATE TRIGGER announce_revocation AFTER INSERT OR UPDATE ON rag.tenants FOR EACH STATEMENT EXECUTE FUNCTION rag.announce_revocation();
CREATE TRIGGER announce_revocation AFTER INSERT OR UPDATE ON rag.token_revocations FOR EACH STATEMENT EXECUTE FUNCTION rag.announce_revocation();
CREATE TRIGGER announce_revocation AFTER INSERT OR UPDATE ON rag.visibility_changes FOR EACH ROW WHEN (new.restricts) EXECUTE FUNCTION rag.announce_revocation();
CREATE TRIGGER audit_link BEFORE INSERT ON rag.audit FOR EACH ROW EXECUTE FUNCTION rag.audit_link();
CREATE TRIGGER audit_refuse BEFORE DELETE OR UPDATE ON rag.audit FOR EACH ROW EXECUTE FUNCTION rag.audit_refuse();
CREATE TRIGGER audit_refuse_truncate BEFORE TRUNCATE ON rag.audit FOR EACH STATEMENT EXECUTE FUNCTION rag.audit_refuse();
CREATE TRIGGER former_texts AFTER DELETE ON rag.chunks REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION rag.former_texts_remember();
CREATE TRIGGER note_visibility AFTER UPDATE ON rag.documents FOR EACH ROW WHEN (((old.acl IS DISTINCT FROM new.acl) OR ((old.deleted_at IS NULL) <> (new.deleted_at IS NULL)))) EXECUTE FUNCTION rag.note_visibility();
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.alerts FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.announced_states FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.api_keys FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.audit_documents FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.budgets FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.console_accounts FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.console_sessions FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.dead_letters FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.documents FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.embedding_turns FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.erasures FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.evaluation_questions FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.evaluation_runs FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.held_deletions FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.history FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.inbox FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.listings FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.object_notices FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.quality_runs FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.quarantine FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.ratings FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.reading_progress FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.run_stages FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.source_items FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.source_operations FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.source_problems FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.source_runs FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.source_states FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.sources FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.token_revocations FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.unanswered_questions FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.usage FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.visibility_changes FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.webhook_events FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('leave out');
CREATE TRIGGER refuse_erased BEFORE INSERT ON rag.webhooks FOR EACH ROW EXECUTE FUNCTION rag.refuse_erased('refuse');
ALTER TABLE ONLY rag.chunkings
    ADD CONSTRAINT fk_chunkings_doc_id FOREIGN KEY (doc_id) REFERENCES rag.documents(doc_id) ON DELETE CASCADE;
ALTER TABLE ONLY rag.chunks
    ADD CONSTRAINT fk_chunks_doc_id FOREIGN KEY (doc_id) REFERENCES rag.documents(doc_id) ON DELETE CASCADE;
ALTER TABLE ONLY rag.deployment_steps
    ADD CONSTRAINT fk_deployment_steps_deployment FOREIGN KEY (deployment) REFERENCES rag.deployments(id) ON DELETE CASCADE;
ALTER TABLE ONLY rag.evaluation_results
    ADD CONSTRAINT fk_evaluation_results_run FOREIGN KEY (run) REFERENCES rag.evaluation_runs(id) ON DELETE CASCADE;
ALTER TABLE ONLY rag.generation_documents
    ADD CONSTRAINT fk_generation_documents_doc_id FOREIGN KEY (doc_id) REFERENCES rag.documents(doc_id) ON DELETE CASCADE;
ALTER TABLE ONLY rag.generation_documents
    ADD CONSTRAINT fk_generation_documents_generation FOREIGN KEY (generation) REFERENCES rag.generations(name) ON DELETE CASCADE;
ALTER TABLE ONLY rag.held_deletions
    ADD CONSTRAINT fk_held_deletions_doc_id_documents FOREIGN KEY (doc_id) REFERENCES rag.documents(doc_id) ON DELETE CASCADE;
ALTER TABLE ONLY rag.visibility_changes
    ADD CONSTRAINT fk_visibility_changes_doc_id_documents FOREIGN KEY (doc_id) REFERENCES rag.documents(doc_id) ON DELETE CASCADE;
ALTER TABLE ONLY rag.webhook_deliveries
    ADD CONSTRAINT fk_webhook_deliveries_event_id FOREIGN KEY (event_id) REFERENCES rag.webhook_events(id) ON DELETE CASCADE;
ALTER TABLE ONLY rag.webhook_deliveries
    ADD CONSTRAINT fk_webhook_deliveries_webhook_id FOREIGN KEY (webhook_id) REFERENCES rag.webhooks(id) ON DELETE CASCADE;

INSERT INTO rag.installation DEFAULT VALUES;
INSERT INTO rag.schema_readers VALUES ('0009');
INSERT INTO rag.schema_version VALUES ('0031');
