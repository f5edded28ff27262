-- A parent has children and is never run itself: it is not due before the end of days, and has no lease. What it is
-- follows from its children. `children` is null for all other jobs.
ALTER TABLE jobs ADD COLUMN children INTEGER;
ALTER TABLE jobs ADD COLUMN weight INTEGER DEFAULT '1000' NOT NULL;
ALTER TABLE jobs ADD COLUMN size BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE jobs ADD COLUMN pages INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE jobs ADD COLUMN chunks INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE jobs ADD COLUMN tokens BIGINT DEFAULT '0' NOT NULL;
ALTER TABLE jobs ADD COLUMN embedding_requests INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE jobs ADD COLUMN cache_hits INTEGER DEFAULT '0' NOT NULL;
ALTER TABLE jobs ADD CONSTRAINT weight CHECK (weight > 0);
ALTER TABLE jobs ADD CONSTRAINT one_generation CHECK (children IS NULL OR (parent_id IS NULL AND run_after = 'infinity'));
ALTER TABLE jobs DROP CONSTRAINT lease;
ALTER TABLE jobs ADD CONSTRAINT lease CHECK ((lease_until IS NULL) = (state <> 'running' OR children IS NOT NULL));

DROP INDEX jobs_parent_id_idx;
CREATE INDEX jobs_parents_idx ON jobs (tenant_id, id) WHERE children IS NOT NULL;
CREATE INDEX jobs_children_idx ON jobs (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX jobs_children_state_idx ON jobs (parent_id, state, id) WHERE parent_id IS NOT NULL;
CREATE INDEX jobs_children_took_idx ON jobs (parent_id, (finished_at - started_at))
    WHERE parent_id IS NOT NULL AND state = 'completed';
-- What a live client is shown first: a project of ten thousand must not hide everything else.
CREATE INDEX jobs_user_top_idx ON jobs (user_id, id)
    WHERE state IN ('queued', 'running', 'paused') AND parent_id IS NULL;
CREATE INDEX jobs_user_top_finished_idx ON jobs (user_id, finished_at) WHERE parent_id IS NULL;
CREATE INDEX jobs_user_busy_child_idx ON jobs (user_id, id) WHERE state = 'running' AND parent_id IS NOT NULL;

-- What is known of the children of a parent, as far as it was folded; what is not yet is in `child_deltas`. The two
-- together are always what a recount would find.
CREATE TABLE parents (
    job_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    on_error TEXT DEFAULT 'continue' NOT NULL,
    threshold REAL DEFAULT '1' NOT NULL,
    asked TEXT,
    forgiven INTEGER DEFAULT '0' NOT NULL,
    total INTEGER DEFAULT '0' NOT NULL,
    queued INTEGER DEFAULT '0' NOT NULL,
    running INTEGER DEFAULT '0' NOT NULL,
    paused INTEGER DEFAULT '0' NOT NULL,
    completed INTEGER DEFAULT '0' NOT NULL,
    failed INTEGER DEFAULT '0' NOT NULL,
    cancelled INTEGER DEFAULT '0' NOT NULL,
    weight BIGINT DEFAULT '0' NOT NULL,
    work BIGINT DEFAULT '0' NOT NULL,
    size BIGINT DEFAULT '0' NOT NULL,
    size_done BIGINT DEFAULT '0' NOT NULL,
    pages BIGINT DEFAULT '0' NOT NULL,
    chunks BIGINT DEFAULT '0' NOT NULL,
    tokens BIGINT DEFAULT '0' NOT NULL,
    embedding_requests BIGINT DEFAULT '0' NOT NULL,
    cache_hits BIGINT DEFAULT '0' NOT NULL,
    fast_rate DOUBLE PRECISION,
    slow_rate DOUBLE PRECISION,
    rated_at TIMESTAMP WITH TIME ZONE,
    rated_work BIGINT DEFAULT '0' NOT NULL,
    active_seconds DOUBLE PRECISION DEFAULT '0' NOT NULL,
    folded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (job_id),
    CONSTRAINT on_error CHECK (on_error IN ('continue', 'stop_on_error')),
    CONSTRAINT threshold CHECK (threshold BETWEEN 0 AND 1),
    CONSTRAINT asked CHECK (asked IN ('cancel', 'pause', 'resume', 'stop')),
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX parents_asked_idx ON parents (job_id) WHERE asked IS NOT NULL;

-- Appended by whoever changes a child, so that nobody waits for a row that all children share. No foreign key to the
-- parent: it would take a lock there.
CREATE TABLE child_deltas (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    parent_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    total INTEGER DEFAULT '0' NOT NULL,
    queued INTEGER NOT NULL,
    running INTEGER NOT NULL,
    paused INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    weight BIGINT DEFAULT '0' NOT NULL,
    work BIGINT NOT NULL,
    size BIGINT DEFAULT '0' NOT NULL,
    size_done BIGINT NOT NULL,
    pages INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    tokens BIGINT NOT NULL,
    embedding_requests INTEGER NOT NULL,
    cache_hits INTEGER NOT NULL,
    code_in TEXT,
    code_out TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX child_deltas_parent_id_idx ON child_deltas (parent_id);

-- Failed children by the code of their error.
CREATE TABLE child_errors (
    parent_id UUID NOT NULL,
    code TEXT NOT NULL,
    tenant_id UUID NOT NULL,
    jobs INTEGER NOT NULL,
    PRIMARY KEY (parent_id, code),
    FOREIGN KEY(parent_id) REFERENCES parents (job_id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

ALTER TABLE parents ENABLE ROW LEVEL SECURITY;
ALTER TABLE child_deltas ENABLE ROW LEVEL SECURITY;
ALTER TABLE child_errors ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON parents TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY all_tenants ON parents TO arqueduct_worker USING (true);
CREATE POLICY own_tenant ON child_deltas TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY all_tenants ON child_deltas TO arqueduct_worker USING (true);
CREATE POLICY own_tenant ON child_errors TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY all_tenants ON child_errors TO arqueduct_worker USING (true);
-- Whoever asks for something to be done to a parent folds it at once, so that his answer is true.
GRANT SELECT, INSERT, UPDATE ON parents, child_errors TO arqueduct_app, arqueduct_worker;
GRANT SELECT, DELETE ON child_deltas TO arqueduct_app, arqueduct_worker;

-- Work in ten-thousandths of a millisecond that was expected: whole numbers, so that sums of differences are exact.
-- A child that has ended, however it did, is nothing to wait for.
CREATE FUNCTION work_done(weight integer, state text, progress real) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN weight::bigint * CASE
    WHEN state IN ('completed', 'partially_completed', 'failed', 'cancelled') THEN 10000
    ELSE round(progress * 10000)::bigint
END;

-- Milliseconds that a job is expected to take: a rule of thumb.
CREATE FUNCTION expected_work(kind text, content_type text, size bigint) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(1, least(2147483647, 200 + size / 2048))::integer;

CREATE FUNCTION tally_child() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO child_deltas (parent_id, tenant_id, queued, running, paused, completed, failed, cancelled, work,
        size_done, pages, chunks, tokens, embedding_requests, cache_hits, code_in, code_out)
    VALUES (NEW.parent_id, NEW.tenant_id,
        (NEW.state = 'queued')::int - (OLD.state = 'queued')::int,
        (NEW.state = 'running')::int - (OLD.state = 'running')::int,
        (NEW.state = 'paused')::int - (OLD.state = 'paused')::int,
        (NEW.state = 'completed')::int - (OLD.state = 'completed')::int,
        (NEW.state = 'failed')::int - (OLD.state = 'failed')::int,
        (NEW.state = 'cancelled')::int - (OLD.state = 'cancelled')::int,
        work_done(NEW.weight, NEW.state, NEW.progress) - work_done(OLD.weight, OLD.state, OLD.progress),
        CASE WHEN NEW.state = 'completed' THEN NEW.size ELSE 0 END
            - CASE WHEN OLD.state = 'completed' THEN OLD.size ELSE 0 END,
        NEW.pages - OLD.pages, NEW.chunks - OLD.chunks, NEW.tokens - OLD.tokens,
        NEW.embedding_requests - OLD.embedding_requests, NEW.cache_hits - OLD.cache_hits,
        CASE WHEN NEW.state = 'failed' THEN NEW.error ->> 'code' END,
        CASE WHEN OLD.state = 'failed' THEN OLD.error ->> 'code' END);
    RETURN NULL;
END
$$;

CREATE FUNCTION tally_new_children() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO child_deltas (parent_id, tenant_id, total, queued, running, paused, completed, failed, cancelled,
        weight, work, size, size_done, pages, chunks, tokens, embedding_requests, cache_hits)
    SELECT parent_id, tenant_id, count(*), count(*) FILTER (WHERE state = 'queued'),
        count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state = 'paused'),
        count(*) FILTER (WHERE state = 'completed'), count(*) FILTER (WHERE state = 'failed'),
        count(*) FILTER (WHERE state = 'cancelled'), sum(weight), sum(work_done(weight, state, progress)), sum(size),
        coalesce(sum(size) FILTER (WHERE state = 'completed'), 0), sum(pages), sum(chunks), sum(tokens),
        sum(embedding_requests), sum(cache_hits)
    FROM made WHERE parent_id IS NOT NULL GROUP BY parent_id, tenant_id;
    RETURN NULL;
END
$$;

-- What was noted and not folded goes with the parent: nobody would ever fold it.
CREATE FUNCTION forget_deltas() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM child_deltas WHERE parent_id = OLD.job_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER forget_deltas AFTER DELETE ON parents FOR EACH ROW EXECUTE FUNCTION forget_deltas();

CREATE TRIGGER tally_child
    AFTER UPDATE OF state, progress, pages, chunks, tokens, embedding_requests, cache_hits ON jobs FOR EACH ROW
    WHEN (NEW.parent_id IS NOT NULL AND (
        NEW.state <> OLD.state OR NEW.progress <> OLD.progress OR NEW.pages <> OLD.pages OR NEW.chunks <> OLD.chunks
        OR NEW.tokens <> OLD.tokens OR NEW.embedding_requests <> OLD.embedding_requests
        OR NEW.cache_hits <> OLD.cache_hits))
    EXECUTE FUNCTION tally_child();
CREATE TRIGGER tally_new_children AFTER INSERT ON jobs REFERENCING NEW TABLE AS made FOR EACH STATEMENT
    EXECUTE FUNCTION tally_new_children();

-- The counters of parents as they are at this moment, folded or not.
CREATE VIEW parents_now WITH (security_invoker) AS
    SELECT p.job_id, p.tenant_id, p.on_error, p.threshold, p.asked, p.forgiven, p.fast_rate, p.slow_rate, p.rated_at, p.active_seconds,
        p.total + coalesce(d.total, 0) AS total, p.queued + coalesce(d.queued, 0) AS queued,
        p.running + coalesce(d.running, 0) AS running, p.paused + coalesce(d.paused, 0) AS paused,
        p.completed + coalesce(d.completed, 0) AS completed, p.failed + coalesce(d.failed, 0) AS failed,
        p.cancelled + coalesce(d.cancelled, 0) AS cancelled, (p.weight + coalesce(d.weight, 0))::bigint AS weight,
        (p.work + coalesce(d.work, 0))::bigint AS work, (p.size + coalesce(d.size, 0))::bigint AS size,
        (p.size_done + coalesce(d.size_done, 0))::bigint AS size_done, p.pages + coalesce(d.pages, 0) AS pages,
        p.chunks + coalesce(d.chunks, 0) AS chunks, (p.tokens + coalesce(d.tokens, 0))::bigint AS tokens,
        p.embedding_requests + coalesce(d.embedding_requests, 0) AS embedding_requests,
        p.cache_hits + coalesce(d.cache_hits, 0) AS cache_hits
    FROM parents p LEFT JOIN LATERAL (
        SELECT sum(total) AS total, sum(queued) AS queued, sum(running) AS running, sum(paused) AS paused,
            sum(completed) AS completed, sum(failed) AS failed, sum(cancelled) AS cancelled, sum(weight) AS weight,
            sum(work) AS work, sum(size) AS size, sum(size_done) AS size_done, sum(pages) AS pages,
            sum(chunks) AS chunks, sum(tokens) AS tokens, sum(embedding_requests) AS embedding_requests,
            sum(cache_hits) AS cache_hits
        FROM child_deltas WHERE parent_id = p.job_id
    ) d ON true;
GRANT SELECT ON parents_now TO arqueduct_app, arqueduct_worker;

-- A job that ends in part is told of, too.
DROP TRIGGER tell_of_end ON jobs;
CREATE TRIGGER tell_of_end AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN (NEW.state IN ('completed', 'partially_completed', 'failed', 'cancelled') AND OLD.state <> NEW.state
        AND NEW.kind NOT LIKE 'webhook.%')
    EXECUTE FUNCTION tell_of_job();

-- Parents that run take no place from anybody.
CREATE OR REPLACE FUNCTION in_flight() RETURNS TABLE (tenant_id uuid, kind text, jobs bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT f.tenant_id, f.kind, count(*) FROM (
        (SELECT tenant_id, kind FROM jobs WHERE state = 'running' AND children IS NULL ORDER BY lease_until)
        UNION ALL
        (SELECT tenant_id, kind FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL ORDER BY dispatched_at)
    ) f GROUP BY f.tenant_id, f.kind
$$;

CREATE OR REPLACE FUNCTION queue_health(alive interval, OUT queued bigint, OUT running bigint, OUT paused bigint,
    OUT retrying bigint, OUT oldest_queued_seconds double precision, OUT live_workers bigint,
    OUT lapsed_leases bigint, OUT quarantined bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*), (SELECT count(*) FROM jobs WHERE state = 'running' AND children IS NULL),
        (SELECT count(*) FROM jobs WHERE state = 'paused' AND children IS NULL),
        count(*) FILTER (WHERE failures > 0),
        coalesce(extract(epoch FROM now() - min(run_after) FILTER (WHERE run_after <= now())), 0)::float8,
        (SELECT count(*) FROM workers WHERE beat_at > now() - alive),
        (SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until < now()),
        (SELECT count(*) FROM jobs WHERE state = 'failed' AND error ->> 'code' = 'worker_died')
    FROM jobs WHERE state = 'queued' AND children IS NULL
$$;

REVOKE EXECUTE ON FUNCTION tally_child(), tally_new_children(), forget_deltas() FROM PUBLIC;
