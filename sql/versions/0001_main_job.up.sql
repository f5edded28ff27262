-- Two roles serve, and neither owns a table: row-level security holds for both.
--   arqueduct_app     requests: sees the tenant of its transaction, nothing else.
--   arqueduct_worker  workers: claims and sweeps jobs of all tenants, but reads and writes documents, chunks and
--                     vectors only of the tenant of its transaction.
-- Roles belong to the whole cluster, so they may be there already, from another database.
-- An administrator may have made them where this user cannot, so nothing is asked for that is already there.
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['arqueduct_app', 'arqueduct_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database's migration was faster
            END;
        END IF;
        -- The owner must be able to take the role on, where it also serves (SET LOCAL ROLE).
        IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO %I', wanted, current_user);
        END IF;
    END LOOP;
END
$$;

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE embedding_models (
    id SMALLINT GENERATED ALWAYS AS IDENTITY,
    name TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);

CREATE TABLE tenants (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE users (
    id UUID NOT NULL,
    email TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (email)
);

CREATE TABLE workers (
    id TEXT NOT NULL,
    version TEXT NOT NULL,
    concurrency INTEGER NOT NULL,
    running INTEGER DEFAULT '0' NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    beat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE api_keys (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    key_hash BYTEA NOT NULL,
    scopes TEXT[] DEFAULT '{}'::text[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
    UNIQUE (key_hash)
);

CREATE TABLE blobs (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    sha256 TEXT NOT NULL,
    size BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT blobs_tenant_id_sha256_key UNIQUE (tenant_id, sha256),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE deletions (
    document_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    prefix TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (document_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE embeddings (
    tenant_id UUID NOT NULL,
    model_id SMALLINT NOT NULL,
    text_hash BYTEA NOT NULL,
    vector HALFVEC NOT NULL,
    bought_for UUID NOT NULL,
    PRIMARY KEY (tenant_id, model_id, text_hash),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(model_id) REFERENCES embedding_models (id)
);

CREATE INDEX embeddings_bought_for_idx ON embeddings (bought_for);

CREATE TABLE jobs (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    kind TEXT NOT NULL,
    parent_id UUID,
    document_id UUID,
    document_name TEXT,
    payload JSONB DEFAULT '{}'::jsonb NOT NULL,
    state TEXT DEFAULT 'queued' NOT NULL,
    stage TEXT DEFAULT 'queued' NOT NULL,
    progress REAL DEFAULT '0' NOT NULL,
    message TEXT,
    details JSONB DEFAULT '{}'::jsonb NOT NULL,
    eta_seconds INTEGER,
    error JSONB,
    seq BIGINT DEFAULT '1' NOT NULL,
    fence INTEGER DEFAULT '0' NOT NULL,
    failures INTEGER DEFAULT '0' NOT NULL,
    crashes INTEGER DEFAULT '0' NOT NULL,
    max_failures INTEGER DEFAULT '5' NOT NULL,
    dispatch INTEGER DEFAULT '0' NOT NULL,
    dispatched_at TIMESTAMP WITH TIME ZONE,
    run_after TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    priority SMALLINT DEFAULT '0' NOT NULL,
    lease_owner TEXT,
    lease_until TIMESTAMP WITH TIME ZONE,
    cancel_requested BOOLEAN DEFAULT false NOT NULL,
    pause_requested BOOLEAN DEFAULT false NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT state CHECK (state IN ('queued', 'running', 'paused', 'completed', 'partially_completed', 'failed', 'cancelled')),
    CONSTRAINT progress CHECK (progress BETWEEN 0 AND 1),
    CONSTRAINT lease CHECK ((lease_until IS NULL) = (state <> 'running')),
    CONSTRAINT finished CHECK ((finished_at IS NULL) = (state IN ('queued', 'running', 'paused'))),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id),
    FOREIGN KEY(parent_id) REFERENCES jobs (id) ON DELETE CASCADE
)
 WITH (fillfactor = 70);

CREATE INDEX jobs_document_id_idx ON jobs (document_id);

CREATE INDEX jobs_parent_id_idx ON jobs (parent_id);

CREATE INDEX jobs_queued_idx ON jobs (run_after) WHERE state = 'queued';
CREATE INDEX jobs_running_idx ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_tenant_id_id_idx ON jobs (tenant_id, id);

CREATE INDEX jobs_user_finished_idx ON jobs (user_id, finished_at);

CREATE INDEX jobs_user_unfinished_idx ON jobs (user_id, id) WHERE state IN ('queued', 'running', 'paused');

CREATE TABLE memberships (
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    role TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    CONSTRAINT role CHECK (role IN ('owner', 'admin', 'editor', 'viewer', 'service')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE documents (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    blob_id UUID NOT NULL,
    job_id UUID NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    title TEXT,
    language TEXT NOT NULL,
    metadata JSONB DEFAULT '{}'::jsonb NOT NULL,
    pages INTEGER,
    characters BIGINT,
    chunks INTEGER,
    text_recipe TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id),
    FOREIGN KEY(blob_id) REFERENCES blobs (id)
);

CREATE INDEX documents_blob_id_idx ON documents (blob_id);

CREATE INDEX documents_deleted_idx ON documents (id) WHERE deleted_at IS NOT NULL;
CREATE INDEX documents_tenant_id_id_idx ON documents (tenant_id, id);

CREATE TABLE job_events (
    job_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    tenant_id UUID NOT NULL,
    type TEXT NOT NULL,
    state TEXT NOT NULL,
    stage TEXT NOT NULL,
    progress REAL NOT NULL,
    message TEXT,
    details JSONB DEFAULT '{}'::jsonb NOT NULL,
    error JSONB,
    attempt INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (job_id, seq),
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE TABLE chunks (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    document_id UUID NOT NULL,
    ordinal INTEGER NOT NULL,
    text TEXT NOT NULL,
    text_hash BYTEA NOT NULL,
    first_page INTEGER NOT NULL,
    last_page INTEGER NOT NULL,
    start_offset BIGINT NOT NULL,
    end_offset BIGINT NOT NULL,
    tokens INTEGER NOT NULL,
    heading TEXT,
    language REGCONFIG NOT NULL,
    tsv TSVECTOR GENERATED ALWAYS AS (to_tsvector(language, text)) STORED,
    PRIMARY KEY (id),
    CONSTRAINT chunks_document_id_ordinal_key UNIQUE (document_id, ordinal),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE
);

CREATE INDEX chunks_tenant_id_text_hash_idx ON chunks (tenant_id, text_hash);

CREATE INDEX chunks_tsv_idx ON chunks USING gin (tsv);

-- Row-level security. The setting is read once a statement, and no tenant means no rows.
CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('app.tenant_id', true), '')::uuid;

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE memberships ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE blobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE chunks ENABLE ROW LEVEL SECURITY;
ALTER TABLE embeddings ENABLE ROW LEVEL SECURITY;
ALTER TABLE jobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE job_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE deletions ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_tenant ON tenants TO arqueduct_app, arqueduct_worker
    USING (id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON users TO arqueduct_app
    USING (EXISTS (SELECT FROM memberships WHERE user_id = users.id AND tenant_id = (SELECT current_tenant())));
CREATE POLICY own_tenant ON memberships TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON api_keys TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON blobs TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON documents TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON chunks TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON embeddings TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON jobs TO arqueduct_app
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY all_tenants ON jobs TO arqueduct_worker USING (true);
CREATE POLICY own_tenant ON job_events TO arqueduct_app
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY all_tenants ON job_events TO arqueduct_worker USING (true);
CREATE POLICY own_tenant ON deletions TO arqueduct_app
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY all_tenants ON deletions TO arqueduct_worker USING (true);

-- For `/readyz`, which says whether the schema is the one that the code needs.
GRANT SELECT ON alembic_version TO arqueduct_app, arqueduct_worker;

GRANT SELECT ON tenants, memberships, workers, embedding_models TO arqueduct_app;
GRANT SELECT (id, email, created_at) ON users TO arqueduct_app;
GRANT SELECT (id, tenant_id, user_id, name, prefix, scopes, created_at, expires_at, revoked_at, last_used_at)
    ON api_keys TO arqueduct_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON blobs, documents TO arqueduct_app;
GRANT SELECT, DELETE ON chunks, embeddings TO arqueduct_app;
GRANT SELECT, INSERT, UPDATE ON jobs, deletions TO arqueduct_app;
GRANT SELECT, INSERT ON job_events TO arqueduct_app;

GRANT SELECT ON tenants, embedding_models TO arqueduct_worker;
GRANT SELECT, DELETE ON blobs TO arqueduct_worker;
GRANT SELECT, UPDATE, DELETE ON documents TO arqueduct_worker;
GRANT SELECT, INSERT, DELETE ON chunks, embeddings TO arqueduct_worker;
GRANT SELECT, INSERT, UPDATE ON jobs TO arqueduct_worker;
GRANT SELECT, INSERT ON job_events TO arqueduct_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON workers, deletions TO arqueduct_worker;

-- A key is looked up before its tenant is known. `last_used_at` moves at most once a minute, to spare writes.
CREATE FUNCTION authenticate(presented bytea)
RETURNS TABLE (key_id uuid, tenant_id uuid, user_id uuid, role text, scopes text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE api_keys SET last_used_at = now()
    WHERE key_hash = presented AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
    RETURN QUERY
        SELECT k.id, k.tenant_id, k.user_id, m.role, k.scopes
        FROM api_keys k JOIN memberships m ON m.tenant_id = k.tenant_id AND m.user_id = k.user_id
        WHERE k.key_hash = presented AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
END
$$;

-- `@@` is not leakproof, so under row-level security the planner may not use the GIN index for it. This function
-- runs as the owner and applies the tenant itself.
-- Words are joined by OR and ranked, so that a question in whole sentences finds passages that answer a part of it;
-- who excludes a word (-word) means every word.
CREATE FUNCTION search_text(language regconfig, query text, most integer, only_documents uuid[])
RETURNS TABLE (chunk_id uuid, rank real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH question AS MATERIALIZED (
        SELECT CASE WHEN asked::text LIKE '%!%' THEN asked ELSE replace(asked::text, ' & ', ' | ')::tsquery END AS words
        FROM websearch_to_tsquery(language, query) asked WHERE numnode(asked) > 0
    )
    SELECT c.id, ts_rank_cd(c.tsv, q.words, 1 | 4) AS rank
    FROM question q
    JOIN chunks c ON c.tsv @@ q.words
    JOIN documents d ON d.id = c.document_id AND d.deleted_at IS NULL
    WHERE c.tenant_id = current_tenant() AND (only_documents IS NULL OR c.document_id = ANY (only_documents))
    ORDER BY rank DESC, c.id
    LIMIT most
$$;

REVOKE EXECUTE ON FUNCTION authenticate(bytea), search_text(regconfig, text, integer, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authenticate(bytea), search_text(regconfig, text, integer, uuid[]) TO arqueduct_app;
