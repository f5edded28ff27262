CREATE OR REPLACE FUNCTION queue_health(alive interval, OUT queued bigint, OUT running bigint, OUT paused bigint,
    OUT retrying bigint, OUT oldest_queued_seconds double precision, OUT live_workers bigint,
    OUT lapsed_leases bigint, OUT quarantined bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*), (SELECT count(*) FROM jobs WHERE state = 'running'),
        (SELECT count(*) FROM jobs WHERE state = 'paused'),
        count(*) FILTER (WHERE failures > 0),
        coalesce(extract(epoch FROM now() - min(run_after) FILTER (WHERE run_after <= now())), 0)::float8,
        (SELECT count(*) FROM workers WHERE beat_at > now() - alive),
        (SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until < now()),
        (SELECT count(*) FROM jobs WHERE state = 'failed' AND error ->> 'code' = 'worker_died')
    FROM jobs WHERE state = 'queued'
$$;

CREATE OR REPLACE FUNCTION in_flight() RETURNS TABLE (tenant_id uuid, kind text, jobs bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT f.tenant_id, f.kind, count(*) FROM (
        (SELECT tenant_id, kind FROM jobs WHERE state = 'running' ORDER BY lease_until)
        UNION ALL
        (SELECT tenant_id, kind FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL ORDER BY dispatched_at)
    ) f GROUP BY f.tenant_id, f.kind
$$;

DROP TRIGGER tell_of_end ON jobs;
CREATE TRIGGER tell_of_end AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN (NEW.state IN ('completed', 'failed', 'cancelled') AND OLD.state <> NEW.state
        AND NEW.kind NOT LIKE 'webhook.%')
    EXECUTE FUNCTION tell_of_job();

DROP VIEW parents_now;
DROP TRIGGER tally_new_children ON jobs;
DROP TRIGGER tally_child ON jobs;
DROP FUNCTION tally_new_children();
DROP FUNCTION tally_child();
DROP FUNCTION expected_work(text, text, bigint);
DROP FUNCTION work_done(integer, text, real);
DROP TABLE child_errors;
DROP TABLE child_deltas;
DROP TABLE parents;
DROP FUNCTION forget_deltas();
DROP INDEX jobs_user_busy_child_idx;
DROP INDEX jobs_user_top_finished_idx;
DROP INDEX jobs_user_top_idx;
DROP INDEX jobs_children_took_idx;
DROP INDEX jobs_children_state_idx;
DROP INDEX jobs_children_idx;
DROP INDEX jobs_parents_idx;
CREATE INDEX jobs_parent_id_idx ON jobs (parent_id);
-- Whoever goes back has no word for a job with children: one that is not over is ended, its children go on.
WITH ended AS (
    UPDATE jobs SET state = 'cancelled', stage = 'cancelled', finished_at = now(), eta_seconds = NULL,
        cancel_requested = false, pause_requested = false, seq = seq + 1
    WHERE children IS NOT NULL AND finished_at IS NULL RETURNING *
)
INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, attempt)
SELECT id, seq, tenant_id, 'job_cancelled', state, stage, progress, 0 FROM ended;
ALTER TABLE jobs DROP CONSTRAINT lease;
ALTER TABLE jobs ADD CONSTRAINT lease CHECK ((lease_until IS NULL) = (state <> 'running'));
ALTER TABLE jobs DROP CONSTRAINT one_generation;
ALTER TABLE jobs DROP CONSTRAINT weight;
ALTER TABLE jobs DROP COLUMN cache_hits;
ALTER TABLE jobs DROP COLUMN embedding_requests;
ALTER TABLE jobs DROP COLUMN tokens;
ALTER TABLE jobs DROP COLUMN chunks;
ALTER TABLE jobs DROP COLUMN pages;
ALTER TABLE jobs DROP COLUMN size;
ALTER TABLE jobs DROP COLUMN weight;
ALTER TABLE jobs DROP COLUMN children;
