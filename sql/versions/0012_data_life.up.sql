-- Where the bytes of a blob are. A copy of them has a name of its own (`copy`; null: the one that came with the blob),
-- and a name that was given up never comes back: so who deletes what no row names any more can never hit what does.
ALTER TABLE blobs ADD COLUMN place TEXT DEFAULT 'hot' NOT NULL;
ALTER TABLE blobs ADD COLUMN copy UUID;
ALTER TABLE blobs ADD COLUMN cold_size BIGINT;
ALTER TABLE blobs ADD CONSTRAINT place CHECK (place IN ('hot', 'cold', 'removed'));
ALTER TABLE blobs ADD CONSTRAINT cold CHECK ((cold_size IS NOT NULL) = (place = 'cold') AND (place <> 'cold' OR copy IS NOT NULL));
GRANT UPDATE (place, copy, cold_size) ON blobs TO arqueduct_worker;

ALTER TABLE documents ADD COLUMN archived_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE documents ADD COLUMN original_removed_at TIMESTAMP WITH TIME ZONE;
CREATE INDEX documents_archived_idx ON documents (tenant_id, id) WHERE archived_at IS NOT NULL;
CREATE INDEX documents_tenant_id_created_at_idx ON documents (tenant_id, created_at);

-- What the operator allows a tenant, and what its administrators allow each of its users by default.
CREATE TABLE tenant_quotas (
    tenant_id UUID NOT NULL,
    documents BIGINT,
    bytes BIGINT,
    jobs BIGINT,
    user_documents BIGINT,
    user_bytes BIGINT,
    user_jobs BIGINT,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (tenant_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    CONSTRAINT quota CHECK (least(documents, bytes, jobs, user_documents, user_bytes, user_jobs) >= 0)
);

-- A row replaces the default as a whole; null in it is no limit.
CREATE TABLE user_quotas (
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    documents BIGINT,
    bytes BIGINT,
    jobs BIGINT,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT quota CHECK (least(documents, bytes, jobs) >= 0)
);

-- Usage is what was folded plus what came since. Changes are only ever appended, so uploads of one user do not wait for
-- each other, and no two transactions can wait for each other here. No foreign keys: the last changes of a tenant that
-- is deleted are written after its row is gone.
CREATE TABLE usage (
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    documents BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE usage_changes (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    documents BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX usage_changes_tenant_id_user_id_idx ON usage_changes (tenant_id, user_id);

INSERT INTO usage (tenant_id, user_id, documents, bytes)
SELECT tenant_id, user_id, count(*), sum(size) FROM documents WHERE deleted_at IS NULL GROUP BY tenant_id, user_id;

CREATE INDEX jobs_tenant_unfinished_idx ON jobs (tenant_id, user_id) WHERE state IN ('queued', 'running', 'paused');

-- A document counts until it is deleted, its bytes until a policy removed the original.
CREATE FUNCTION count_usage_in() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO usage_changes (tenant_id, user_id, documents, bytes)
    SELECT tenant_id, user_id, count(*), coalesce(sum(size) FILTER (WHERE original_removed_at IS NULL), 0)
    FROM added WHERE deleted_at IS NULL GROUP BY tenant_id, user_id;
    RETURN NULL;
END
$$;
CREATE FUNCTION count_usage_out() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO usage_changes (tenant_id, user_id, documents, bytes)
    SELECT tenant_id, user_id, -count(*), -coalesce(sum(size) FILTER (WHERE original_removed_at IS NULL), 0)
    FROM removed WHERE deleted_at IS NULL GROUP BY tenant_id, user_id;
    RETURN NULL;
END
$$;
CREATE FUNCTION count_usage_changed() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO usage_changes (tenant_id, user_id, documents, bytes)
    SELECT tenant_id, user_id, sum(documents), sum(bytes) FROM (
        SELECT tenant_id, user_id, 1 AS documents, CASE WHEN original_removed_at IS NULL THEN size ELSE 0 END AS bytes
        FROM added WHERE deleted_at IS NULL
        UNION ALL
        SELECT tenant_id, user_id, -1, CASE WHEN original_removed_at IS NULL THEN -size ELSE 0 END
        FROM removed WHERE deleted_at IS NULL
    ) changed GROUP BY tenant_id, user_id HAVING sum(documents) <> 0 OR sum(bytes) <> 0;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_usage_in AFTER INSERT ON documents REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_usage_in();
CREATE TRIGGER count_usage_out AFTER DELETE ON documents REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION count_usage_out();
CREATE TRIGGER count_usage_changed AFTER UPDATE ON documents REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION count_usage_changed();

-- Adds changes up and forgets them, at most `most`; one at a time. Returns how many. A reader sees a change before or
-- after, never twice: it all is one commit.
CREATE FUNCTION fold_usage(most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    folded integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('usage', 0)) THEN
        RETURN 0;
    END IF;
    WITH taken AS (
        DELETE FROM usage_changes WHERE id = ANY (ARRAY(SELECT id FROM usage_changes ORDER BY id LIMIT most))
        RETURNING tenant_id, user_id, documents, bytes
    ), added AS (
        INSERT INTO usage AS u (tenant_id, user_id, documents, bytes)
        SELECT tenant_id, user_id, sum(documents), sum(bytes) FROM taken GROUP BY tenant_id, user_id
        ON CONFLICT (tenant_id, user_id) DO UPDATE
        SET documents = u.documents + excluded.documents, bytes = u.bytes + excluded.bytes
    )
    SELECT count(*) INTO folded FROM taken;
    DELETE FROM usage u WHERE documents = 0 AND bytes = 0 AND NOT EXISTS (SELECT FROM tenants WHERE id = u.tenant_id);
    RETURN folded;
END
$$;

-- What a tenant wants to leave by itself when it is old. Who set it last is who its runs are made for.
CREATE TABLE retention_policies (
    tenant_id UUID NOT NULL,
    target TEXT NOT NULL,
    days INTEGER NOT NULL,
    states TEXT[] DEFAULT '{}'::text[] NOT NULL,
    content_types TEXT[] DEFAULT '{}'::text[] NOT NULL,
    is_enabled BOOLEAN DEFAULT false NOT NULL,
    updated_by UUID NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (tenant_id, target),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(updated_by) REFERENCES users (id),
    CONSTRAINT target CHECK (target IN ('documents', 'originals', 'texts', 'jobs')),
    CONSTRAINT days CHECK (days BETWEEN 1 AND 36500)
);

-- What a run of `retention.apply` or `storage.optimise` did, or would do. Written in the transactions of its batches.
-- It has the id of its job.
CREATE TABLE upkeep_runs (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    kind TEXT NOT NULL,
    is_dry BOOLEAN NOT NULL,
    report JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(id) REFERENCES jobs (id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX upkeep_runs_tenant_id_kind_created_at_idx ON upkeep_runs (tenant_id, kind, created_at);

ALTER TABLE tenant_quotas ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_quotas ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE retention_policies ENABLE ROW LEVEL SECURITY;
ALTER TABLE upkeep_runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON tenant_quotas TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON user_quotas TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON usage TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON usage_changes TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON retention_policies TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON upkeep_runs TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));

-- What the operator allows is out of a tenant's reach.
GRANT SELECT, INSERT (tenant_id, user_documents, user_bytes, user_jobs),
    UPDATE (user_documents, user_bytes, user_jobs, updated_at) ON tenant_quotas TO arqueduct_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_quotas TO arqueduct_app;
GRANT SELECT ON usage, usage_changes TO arqueduct_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON retention_policies TO arqueduct_app;
GRANT SELECT ON retention_policies TO arqueduct_worker;
GRANT SELECT, INSERT ON upkeep_runs TO arqueduct_app;
GRANT SELECT, UPDATE (report, updated_at) ON upkeep_runs TO arqueduct_worker;

-- The daily run of each tenant that has a policy switched on. Returns the new jobs. Whoever makes a run, this or a
-- request, holds the lock of the tenant's runs, so there is one at a time.
CREATE FUNCTION queue_retention(every interval) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    tenant uuid;
    by_user uuid;
    job uuid;
    made uuid[] := '{}';
BEGIN
    FOR tenant, by_user IN
        SELECT DISTINCT ON (p.tenant_id) p.tenant_id, p.updated_by FROM retention_policies p
        WHERE p.is_enabled AND NOT EXISTS (
            SELECT FROM upkeep_runs r WHERE r.tenant_id = p.tenant_id AND r.kind = 'retention.apply' AND NOT r.is_dry
                AND r.created_at > now() - every
        )
        ORDER BY p.tenant_id, p.updated_at DESC
    LOOP
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended('retention.apply ' || tenant, 0))
            OR EXISTS (SELECT FROM jobs j JOIN upkeep_runs r USING (id) WHERE j.tenant_id = tenant
                AND j.state IN ('queued', 'running', 'paused') AND r.kind = 'retention.apply' AND NOT r.is_dry)
            OR EXISTS (SELECT FROM upkeep_runs r WHERE r.tenant_id = tenant AND r.kind = 'retention.apply'
                AND NOT r.is_dry AND r.created_at > now() - every);
        job := time_ordered_id();
        INSERT INTO jobs (id, tenant_id, user_id, kind, payload, priority)
        VALUES (job, tenant, by_user, 'retention.apply', '{"dry_run": false}', 10);
        INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, attempt)
        VALUES (job, 1, tenant, 'job_queued', 'queued', 'queued', 0, 0);
        INSERT INTO upkeep_runs (id, tenant_id, kind, is_dry) VALUES (job, tenant, 'retention.apply', false);
        made := made || job;
    END LOOP;
    RETURN made;
END
$$;

-- Looks at the next `most` jobs of the tenant of the transaction that finished longer ago than asked, in order of their
-- end, and tells which of them may go: `old`. Of a family its parent's age and state count, and it goes as a whole.
-- Returns where to go on: fewer than `most` looked at means that all have been.
CREATE FUNCTION old_jobs(
    older interval, in_states text[], most integer, INOUT after_at timestamptz, INOUT after_id uuid,
    OUT looked integer, OUT old uuid[]
) LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    page uuid[];
    closed uuid[];
    reached timestamptz;
BEGIN
    old := '{}';
    WITH next AS (
        SELECT id, finished_at FROM jobs
        WHERE tenant_id = current_tenant() AND finished_at < now() - older
            AND (finished_at, id) > (after_at, after_id)
        ORDER BY finished_at, id LIMIT most
    )
    SELECT array_agg(id ORDER BY finished_at, id), max(finished_at), count(*) INTO page, reached, looked FROM next;
    IF looked = 0 THEN
        RETURN;
    END IF;
    after_at := reached;
    after_id := page[looked];
    closed := ARRAY(
        SELECT h.id FROM jobs h WHERE h.id IN (SELECT coalesce(parent_id, id) FROM jobs WHERE id = ANY (page))
            AND (in_states = '{}' OR h.state = ANY (in_states)) AND family_is_closed(h.id, older)
    );
    old := ARRAY(
        SELECT id FROM jobs j WHERE id = ANY (page) AND coalesce(parent_id, id) = ANY (closed)
            AND NOT EXISTS (SELECT FROM webhook_deliveries w WHERE w.job_id = j.id AND w.ended_at IS NULL)
        ORDER BY finished_at, id
    );
END
$$;
CREATE FUNCTION prune_old_jobs(
    older interval, in_states text[], most integer, INOUT after_at timestamptz, INOUT after_id uuid,
    OUT looked integer, OUT pruned integer
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    page uuid[];
    closed uuid[];
    held uuid[];
    gone integer;
BEGIN
    pruned := 0;
    SELECT * INTO after_at, after_id, looked, page FROM old_jobs(older, in_states, most, after_at, after_id);
    -- Once more: somebody may have retried one before it was locked.
    closed := hold_families(page, older);
    held := ARRAY(
        SELECT id FROM jobs WHERE (id = ANY (page) AND coalesce(parent_id, id) = ANY (closed)) OR id = ANY (closed)
        ORDER BY id FOR UPDATE SKIP LOCKED
    );
    LOOP
        DELETE FROM jobs j
        WHERE id = ANY (held) AND finished_at < now() - older
            AND NOT EXISTS (SELECT FROM documents WHERE job_id = j.id)
            AND NOT EXISTS (SELECT FROM projects WHERE job_id = j.id)
            AND NOT EXISTS (SELECT FROM jobs WHERE parent_id = j.id);
        GET DIAGNOSTICS gone = ROW_COUNT;
        EXIT WHEN gone = 0;
        pruned := pruned + gone;
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION search_text(language regconfig, query text, most integer, only_documents uuid[])
RETURNS TABLE (chunk_id uuid, rank real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH question AS MATERIALIZED (
        SELECT CASE WHEN asked::text LIKE '%!%' THEN asked ELSE replace(asked::text, ' & ', ' | ')::tsquery END AS words
        FROM websearch_to_tsquery(language, query) asked WHERE numnode(asked) > 0
    )
    SELECT c.id, ts_rank_cd(c.tsv, q.words, 1 | 4) AS rank
    FROM question q
    JOIN chunks c ON c.tsv @@ q.words
    JOIN documents d ON d.id = c.document_id AND d.deleted_at IS NULL AND d.archived_at IS NULL
    WHERE c.tenant_id = current_tenant() AND (only_documents IS NULL OR c.document_id = ANY (only_documents))
    ORDER BY rank DESC, c.id
    LIMIT most
$$;

REVOKE EXECUTE ON FUNCTION count_usage_in(), count_usage_out(), count_usage_changed(), fold_usage(integer),
    queue_retention(interval), old_jobs(interval, text[], integer, timestamptz, uuid),
    prune_old_jobs(interval, text[], integer, timestamptz, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fold_usage(integer), queue_retention(interval),
    old_jobs(interval, text[], integer, timestamptz, uuid),
    prune_old_jobs(interval, text[], integer, timestamptz, uuid) TO arqueduct_worker;
