CREATE OR REPLACE FUNCTION prune_jobs(
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

DROP FUNCTION hold_families(uuid[], interval), family_is_closed(uuid, interval);
DROP INDEX jobs_failed_idx;
DROP TABLE project_runs;
DROP TABLE projects;
