-- A run: a stage that an attempt finished or failed in; as the stage `*wait` the time from due to claimed, as `*job` a
-- whole attempt that completed. The pipelines' own stages are named by verbs, so none has a star.
-- Runs are measurements, and outlive their jobs: they name them without a foreign key.
CREATE TABLE stage_runs (
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    job_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    content_type TEXT,
    size BIGINT,
    ended_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    seconds DOUBLE PRECISION NOT NULL,
    outcome TEXT NOT NULL,
    code TEXT,
    documents INTEGER DEFAULT '0' NOT NULL,
    pages INTEGER DEFAULT '0' NOT NULL,
    chunks INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (job_id, attempt, stage),
    CONSTRAINT outcome CHECK (outcome IN ('ok', 'error')),
    CONSTRAINT code CHECK ((code IS NULL) = (outcome = 'ok')),
    CONSTRAINT seconds CHECK (seconds >= 0),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX stage_runs_ended_at_idx ON stage_runs (ended_at);
CREATE INDEX stage_runs_tenant_id_ended_at_idx ON stage_runs (tenant_id, ended_at);

-- The runs that ended in an hour, a day or a week (UTC), of a user and once more of the whole tenant (`whose` is then
-- its id), by a histogram of their seconds. The sum of a row's runs is exact, and so is that of its microseconds.
-- `hours done` and `days done` have the jobs that completed once more, in one bucket: what a series is made of.
CREATE TABLE stage_run_sums (
    tenant_id UUID NOT NULL,
    whose UUID NOT NULL,
    span TEXT NOT NULL,
    began_at TIMESTAMP WITH TIME ZONE NOT NULL,
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    code TEXT NOT NULL,
    bucket SMALLINT NOT NULL,
    runs BIGINT NOT NULL,
    microseconds BIGINT NOT NULL,
    documents BIGINT NOT NULL,
    pages BIGINT NOT NULL,
    chunks BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, whose, span, began_at, kind, stage, code, bucket),
    CONSTRAINT span CHECK (span IN ('hour', 'day', 'week', 'hours done', 'days done')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
)
 WITH (fillfactor = 80);
CREATE INDEX stage_run_sums_began_at_idx ON stage_run_sums (began_at, span);

-- How long stages take of late, over all tenants: durations, and nothing of whose they were. The natural logarithm of
-- the seconds has this mean and variance; `weight` says on how many runs they stand, those of long ago counting less.
CREATE TABLE stage_rates (
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size_class SMALLINT NOT NULL,
    weight DOUBLE PRECISION NOT NULL,
    mean DOUBLE PRECISION NOT NULL,
    variance DOUBLE PRECISION NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (kind, stage, content_type, size_class)
);

ALTER TABLE jobs ADD COLUMN eta_range INTEGER[];

ALTER TABLE stage_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE stage_run_sums ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON stage_runs TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON stage_run_sums TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
GRANT SELECT ON stage_runs, stage_run_sums TO arqueduct_app;
GRANT SELECT ON stage_rates TO arqueduct_app, arqueduct_worker;

-- 0: less than a KiB, or no document; then a class for each doubling. `eta.size_class` is the same.
CREATE FUNCTION size_class(bytes bigint) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN least(20, coalesce(length(ltrim((greatest(bytes, 0) >> 10)::bit(64)::text, '0')), 0))::smallint;

-- The bucket of a histogram: those up to 1.025/0.975 of each other are together, so that the middle of a bucket is
-- within 2.5 % of all of it. What took less than a millisecond counts as one.
CREATE FUNCTION duration_bucket(seconds double precision) RETURNS smallint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ceil(ln(greatest(seconds, 0.001)) / ln(1.025::float8 / 0.975::float8))::smallint;

-- Writes runs, adds them to the sums and lets the rates learn, all or nothing; returns how many were new. A run that
-- was written before counts once. Rows are touched in the order of their keys, so that two workers wait for each other
-- instead of deadlocking. `ago`: seconds since the run ended; clocks of workers never matter.
-- A rate forgets half of what it knows in a day, and keeps no more than the weight of 60 runs.
-- Its commit does not wait for the disk: a crash of Postgres costs the measurements of that moment.
CREATE FUNCTION note_stage_runs(given json) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    noted integer;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    WITH fresh AS (
        INSERT INTO stage_runs (tenant_id, user_id, job_id, attempt, kind, stage, content_type, size, ended_at, seconds,
            outcome, code, documents, pages, chunks)
        SELECT g.tenant_id, g.user_id, g.job_id, g.attempt, g.kind, g.stage, g.content_type, g.size,
            clock_timestamp() - g.ago * interval '1 second', g.seconds,
            CASE WHEN g.code IS NULL THEN 'ok' ELSE 'error' END, g.code, g.documents, g.pages, g.chunks
        FROM json_to_recordset(given) AS g(tenant_id uuid, user_id uuid, job_id uuid, attempt integer, kind text,
            stage text, content_type text, size bigint, ago double precision, seconds double precision, code text,
            documents integer, pages integer, chunks integer)
        WHERE EXISTS (SELECT FROM tenants t WHERE t.id = g.tenant_id)
            AND EXISTS (SELECT FROM users u WHERE u.id = g.user_id)
        ORDER BY g.job_id, g.attempt, g.stage
        ON CONFLICT DO NOTHING
        RETURNING *
    ), summed AS (
        INSERT INTO stage_run_sums AS s (tenant_id, whose, span, began_at, kind, stage, code, bucket, runs,
            microseconds, documents, pages, chunks)
        SELECT f.tenant_id, w.whose, p.span, date_trunc(p.unit, f.ended_at, 'UTC') AS began_at, f.kind, f.stage,
            coalesce(f.code, '') AS code, CASE WHEN p.is_done THEN 0::smallint ELSE duration_bucket(f.seconds) END
                AS bucket,
            count(*), sum(round(f.seconds * 1000000)::bigint), sum(f.documents), sum(f.pages), sum(f.chunks)
        FROM fresh f CROSS JOIN (VALUES ('hour', 'hour', false), ('day', 'day', false), ('week', 'week', false),
                ('hours done', 'hour', true), ('days done', 'day', true)) p(span, unit, is_done)
            CROSS JOIN LATERAL (VALUES (f.tenant_id), (f.user_id)) w(whose)
        WHERE NOT p.is_done OR (f.stage = '*job' AND f.outcome = 'ok')
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
        ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
        ON CONFLICT (tenant_id, whose, span, began_at, kind, stage, code, bucket) DO UPDATE SET
            runs = s.runs + excluded.runs, microseconds = s.microseconds + excluded.microseconds,
            documents = s.documents + excluded.documents, pages = s.pages + excluded.pages,
            chunks = s.chunks + excluded.chunks
    ), learned AS (
        SELECT f.kind, f.stage, coalesce(f.content_type, '') AS content_type, size_class(f.size) AS size_class,
            count(*)::float8 AS weight, avg(x.log) AS mean, var_pop(x.log) AS variance
        FROM fresh f CROSS JOIN LATERAL (SELECT ln(greatest(f.seconds, 0.001)) AS log) x
        WHERE f.outcome = 'ok' AND f.stage <> '*wait'
        GROUP BY 1, 2, 3, 4
    ), rated AS (
        INSERT INTO stage_rates AS r (kind, stage, content_type, size_class, weight, mean, variance)
        SELECT kind, stage, content_type, size_class, least(weight, 60), mean, variance
        FROM learned ORDER BY 1, 2, 3, 4
        ON CONFLICT (kind, stage, content_type, size_class) DO UPDATE SET (weight, mean, variance, updated_at) = (
            SELECT least(k.old + k.new, 60), r.mean + (excluded.mean - r.mean) * k.new / (k.old + k.new),
                (k.old * r.variance + k.new * excluded.variance) / (k.old + k.new)
                    + (excluded.mean - r.mean) ^ 2 * k.old * k.new / (k.old + k.new) ^ 2,
                now()
            FROM (SELECT greatest(r.weight * 0.5 ^ least(
                greatest(extract(epoch FROM now() - r.updated_at), 0)::float8 / 86400, 100
            ), 0.01) AS old, excluded.weight AS new) k
        )
    )
    SELECT count(*) INTO noted FROM fresh;
    RETURN noted;
END
$$;

-- Deletes runs, or sums of some spans, that are older than that, `most` at a time; returns how many.
CREATE FUNCTION prune_stage_runs(older interval, most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    gone integer;
BEGIN
    DELETE FROM stage_runs WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM stage_runs WHERE ended_at < now() - older ORDER BY ended_at LIMIT most FOR UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
CREATE FUNCTION prune_stage_run_sums(spans text[], older interval, most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    gone integer;
BEGIN
    DELETE FROM stage_run_sums WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM stage_run_sums
        WHERE span = ANY (spans) AND began_at < date_trunc('day', now() - older, 'UTC')
        ORDER BY began_at LIMIT most FOR UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

-- How busy the workers are, over all tenants, to tell how long a job of the current tenant waits: jobs that they run at
-- a time, and how many of those that they run or will take next go before this one.
CREATE FUNCTION queue_pace(alive interval, job uuid, OUT slots bigint, OUT ahead bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    WITH me AS MATERIALIZED (SELECT id, dispatched_at FROM jobs WHERE id = job AND tenant_id = current_tenant())
    SELECT (SELECT coalesce(sum(concurrency), 0)::bigint FROM workers WHERE beat_at > now() - alive),
        (SELECT count(*) FROM (SELECT FROM jobs WHERE state = 'running' AND children IS NULL ORDER BY lease_until) running)
            + (SELECT count(*) FROM (
                SELECT id, dispatched_at FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL
                ORDER BY dispatched_at
            ) d WHERE me.dispatched_at IS NULL OR (d.dispatched_at, d.id) < (me.dispatched_at, me.id))
    FROM me
$$;

-- Milliseconds a job is expected to take, by what such jobs took of late; where that is not known, by a rule of thumb.
CREATE OR REPLACE FUNCTION expected_work(kind text, content_type text, size bigint) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(1, least(2147483647, coalesce(
        (SELECT round(1000 * exp(least(r.mean + least(r.variance, 2) / 2, 14)))::bigint FROM stage_rates r
            WHERE r.kind = $1 AND r.stage = '*job' AND r.content_type = coalesce($2, '')
                AND r.size_class = size_class($3) AND r.weight >= 3),
        200 + coalesce($3, 0) / 2048
    )))::integer
$$;

REVOKE EXECUTE ON FUNCTION note_stage_runs(json), prune_stage_runs(interval, integer),
    prune_stage_run_sums(text[], interval, integer), queue_pace(interval, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_stage_runs(json), prune_stage_runs(interval, integer),
    prune_stage_run_sums(text[], interval, integer) TO arqueduct_worker;
GRANT EXECUTE ON FUNCTION queue_pace(interval, uuid) TO arqueduct_app;
