CREATE INDEX jobs_finished_idx ON jobs (finished_at, id) WHERE finished_at IS NOT NULL;
-- The last event of a finished job is never in here, so what stays for good is never looked at again.
CREATE INDEX job_events_passing_idx ON job_events (created_at) WHERE state IN ('queued', 'running', 'paused');
CREATE INDEX documents_job_id_idx ON documents (job_id);

-- What workers do now and then, one of them at a time. `begun_at` is a sign of life of who is at it.
CREATE TABLE chores (
    name TEXT NOT NULL,
    begun_at TIMESTAMP WITH TIME ZONE,
    done_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (name)
);

INSERT INTO chores (name) VALUES ('prune recent jobs'), ('prune all jobs'), ('clean storage');

GRANT SELECT, UPDATE ON chores TO arqueduct_worker;

-- An upload of bytes that are there already updates their blob, so who holds the row keeps uploads of them waiting.
-- Locking takes the right to update.
GRANT UPDATE (size) ON blobs TO arqueduct_worker;

-- Both functions look at few rows of large tables, whatever the statistics say: a plan that reads a whole table is
-- never right.

-- Looks at the next `most` jobs that finished longer than `older` ago, in order of their end, and deletes those that
-- neither a document nor a child names: its children go before a parent. Of the jobs that stay it deletes all
-- attempts but the last. Returns where to go on: fewer than `most` looked at means that all have been.
-- What is locked is left for another time. Documents do not come to name a finished job, and a child cannot be added
-- to a parent that is locked, so what the last statements see is still so at the commit.
CREATE FUNCTION prune_jobs(
    older interval, most integer, INOUT after_at timestamptz, INOUT after_id uuid,
    OUT looked integer, OUT pruned_jobs integer, OUT pruned_attempts integer
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    page uuid[];
    held uuid[];
    gone integer;
    reached timestamptz;
BEGIN
    pruned_jobs := 0;
    pruned_attempts := 0;
    WITH next AS (
        SELECT id, finished_at FROM jobs WHERE finished_at < now() - older AND (finished_at, id) > (after_at, after_id)
        ORDER BY finished_at, id LIMIT most
    )
    SELECT array_agg(id ORDER BY finished_at, id), max(finished_at), count(*) INTO page, reached, looked FROM next;
    IF looked = 0 THEN
        RETURN;
    END IF;
    after_at := reached;
    after_id := page[looked];
    held := ARRAY(
        SELECT id FROM jobs j
        WHERE id = ANY (page) AND finished_at < now() - older AND NOT EXISTS (SELECT FROM documents WHERE job_id = j.id)
        FOR UPDATE SKIP LOCKED
    );
    LOOP
        DELETE FROM jobs j
        WHERE id = ANY (held) AND finished_at < now() - older
            AND NOT EXISTS (SELECT FROM documents WHERE job_id = j.id)
            AND NOT EXISTS (SELECT FROM jobs WHERE parent_id = j.id);
        GET DIAGNOSTICS gone = ROW_COUNT;
        EXIT WHEN gone = 0;
        pruned_jobs := pruned_jobs + gone;
    END LOOP;
    DELETE FROM job_attempts a
    WHERE job_id = ANY (page) AND EXISTS (SELECT FROM job_attempts WHERE job_id = a.job_id AND attempt > a.attempt)
        AND EXISTS (SELECT FROM jobs WHERE id = a.job_id AND finished_at < now() - older);
    GET DIAGNOSTICS pruned_attempts = ROW_COUNT;
END
$$;

-- Deletes about `most` lines of history that are older than `older` and not the last one of their job, if that job
-- is finished. An end that a retry undid goes with the line of the retry. Returns where to go on.
CREATE FUNCTION prune_events(older interval, most integer, INOUT after_at timestamptz, OUT pruned integer)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    reached timestamptz;
BEGIN
    WITH old AS MATERIALIZED (
        SELECT e.job_id, e.seq, e.created_at FROM job_events e JOIN jobs j ON j.id = e.job_id
        WHERE e.state IN ('queued', 'running', 'paused') AND e.created_at >= after_at AND e.created_at < now() - older
            AND j.finished_at IS NOT NULL AND e.seq < j.seq
        ORDER BY e.created_at LIMIT most
    ), gone AS (
        DELETE FROM job_events e USING (SELECT job_id, max(seq) AS seq FROM old GROUP BY job_id) upto
        WHERE e.job_id = upto.job_id AND e.seq <= upto.seq
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM gone), (SELECT max(created_at) FROM old) INTO pruned, reached;
    after_at := coalesce(reached, after_at);
END
$$;

REVOKE EXECUTE ON FUNCTION
    prune_jobs(interval, integer, timestamptz, uuid), prune_events(interval, integer, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    prune_jobs(interval, integer, timestamptz, uuid), prune_events(interval, integer, timestamptz) TO arqueduct_worker;
