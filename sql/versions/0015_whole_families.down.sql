DROP INDEX blobs_tenant_id_id_idx, jobs_tenant_finished_idx;

-- A job and its children, or a job alone: whether nobody has asked for anything of it for so long. Who prunes takes a
-- family as a whole or leaves it: the counters of a parent are those of its rows for as long as there are any.
CREATE FUNCTION family_is_closed(head uuid, older interval) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp SET enable_seqscan = off AS $$
    SELECT EXISTS (SELECT FROM jobs WHERE id = head AND finished_at < now() - older)
        AND NOT EXISTS (SELECT FROM projects WHERE job_id = head)
        AND NOT EXISTS (SELECT FROM documents WHERE job_id = head)
        AND NOT EXISTS (
            SELECT FROM jobs c WHERE c.parent_id = head AND (
                c.finished_at IS NULL OR c.finished_at >= now() - older
                OR EXISTS (SELECT FROM documents WHERE job_id = c.id))
        )
$$;

-- The families of these jobs that are closed, and stay so until the transaction ends. Counters are locked before jobs,
-- as by everybody who changes a family; what somebody else holds is left for another time.
CREATE FUNCTION hold_families(members uuid[], older interval) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    heads uuid[];
    held uuid[];
BEGIN
    heads := ARRAY(SELECT DISTINCT coalesce(parent_id, id) FROM jobs WHERE id = ANY (members));
    held := ARRAY(SELECT job_id FROM parents WHERE job_id = ANY (heads) ORDER BY job_id FOR UPDATE SKIP LOCKED);
    RETURN ARRAY(
        SELECT head FROM unnest(heads) head
        WHERE (head = ANY (held) OR NOT EXISTS (SELECT FROM parents WHERE job_id = head))
            AND family_is_closed(head, older)
    );
END
$$;
REVOKE EXECUTE ON FUNCTION family_is_closed(uuid, interval), hold_families(uuid[], interval) FROM PUBLIC;

CREATE OR REPLACE FUNCTION prune_jobs(
    older interval, most integer, INOUT after_at timestamptz, INOUT after_id uuid,
    OUT looked integer, OUT pruned_jobs integer, OUT pruned_attempts integer
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    page uuid[];
    closed uuid[];
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
        pruned_jobs := pruned_jobs + gone;
    END LOOP;
    DELETE FROM job_attempts a
    WHERE job_id = ANY (page) AND EXISTS (SELECT FROM job_attempts WHERE job_id = a.job_id AND attempt > a.attempt)
        AND EXISTS (SELECT FROM jobs WHERE id = a.job_id AND finished_at < now() - older);
    GET DIAGNOSTICS pruned_attempts = ROW_COUNT;
END
$$;

DROP FUNCTION old_jobs(interval, text[], integer);
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
CREATE OR REPLACE FUNCTION prune_old_jobs(
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
REVOKE EXECUTE ON FUNCTION old_jobs(interval, text[], integer, timestamptz, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION old_jobs(interval, text[], integer, timestamptz, uuid) TO arqueduct_worker;

DROP FUNCTION families_of_policy(interval, text[]), delete_families(uuid[], interval),
    next_old_jobs(uuid, interval, integer, timestamptz, uuid), closed_families(interval);
