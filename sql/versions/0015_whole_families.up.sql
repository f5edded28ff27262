CREATE INDEX jobs_tenant_finished_idx ON jobs (tenant_id, finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX blobs_tenant_id_id_idx ON blobs (tenant_id, id);

-- Jobs with all their children, or without any, of which nobody has asked for anything for so long. Planned as a part
-- of the statements that ask it, so it has no settings of its own.
CREATE FUNCTION closed_families(older interval)
RETURNS TABLE (id uuid, tenant_id uuid, state text, finished_at timestamptz) LANGUAGE sql STABLE AS $$
    SELECT h.id, h.tenant_id, h.state, h.finished_at FROM jobs h
    WHERE h.parent_id IS NULL AND h.finished_at < now() - older
        AND NOT EXISTS (SELECT FROM projects p WHERE p.job_id = h.id)
        AND NOT EXISTS (SELECT FROM documents d WHERE d.job_id = h.id)
        AND NOT EXISTS (
            SELECT FROM jobs c WHERE c.parent_id = h.id AND (c.finished_at IS NULL OR c.finished_at >= now() - older)
        )
        AND NOT EXISTS (SELECT FROM jobs c JOIN documents d ON d.job_id = c.id WHERE c.parent_id = h.id)
$$;

-- The next finished jobs, about `most`, of one tenant or of all, in order of their end. A parent counts with its
-- children, which go with it. Fewer than `most` looked at means that all have been.
CREATE FUNCTION next_old_jobs(
    of_tenant uuid, older interval, most integer, INOUT after_at timestamptz, INOUT after_id uuid,
    OUT looked integer, OUT page uuid[]
) LANGUAGE plpgsql STABLE
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
BEGIN
    SELECT coalesce(max(through), 0), coalesce(array_agg(id ORDER BY finished_at, id), '{}'),
        coalesce(max(finished_at), after_at)
    INTO looked, page, after_at
    FROM (
        SELECT id, finished_at, size, sum(size) OVER (ORDER BY finished_at, id) AS through FROM (
            SELECT id, finished_at, 1 + coalesce(children, 0) AS size FROM jobs
            WHERE (of_tenant IS NULL OR tenant_id = of_tenant) AND finished_at < now() - older
                AND (finished_at, id) > (after_at, after_id)
            ORDER BY finished_at, id LIMIT most
        ) next
    ) summed
    WHERE through - size < most;
    after_id := coalesce(page[cardinality(page)], after_id);
END
$$;

-- Deletes those of these families that are closed, each as a whole: the counters of a parent are those of its rows for
-- as long as there are any. What somebody else holds, if only a part of it, is left for another time. Counters are
-- locked before jobs, as by everybody who changes a family; a child cannot be added to a parent that is locked, so what
-- is seen with all locks held is still so at the commit. Returns how many jobs.
CREATE FUNCTION delete_families(heads uuid[], older interval) RETURNS integer
LANGUAGE plpgsql VOLATILE
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    counted uuid[];
    held uuid[];
    closed uuid[];
    gone integer;
BEGIN
    IF heads = '{}' THEN
        RETURN 0;
    END IF;
    counted := ARRAY(SELECT job_id FROM parents WHERE job_id = ANY (heads) ORDER BY job_id FOR UPDATE SKIP LOCKED);
    held := ARRAY(
        SELECT id FROM jobs WHERE id = ANY (heads) OR parent_id = ANY (heads) ORDER BY id FOR UPDATE SKIP LOCKED
    );
    closed := ARRAY(
        SELECT f.id FROM closed_families(older) f
        WHERE f.id = ANY (heads) AND (f.id = ANY (counted) OR NOT EXISTS (SELECT FROM parents WHERE job_id = f.id))
            AND NOT EXISTS (SELECT FROM jobs WHERE (id = f.id OR parent_id = f.id) AND id <> ALL (held))
    );
    DELETE FROM jobs WHERE id = ANY (closed) OR parent_id = ANY (closed);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

-- As in 0010, a family at once with its parent.
CREATE OR REPLACE FUNCTION prune_jobs(
    older interval, most integer, INOUT after_at timestamptz, INOUT after_id uuid,
    OUT looked integer, OUT pruned_jobs integer, OUT pruned_attempts integer
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    page uuid[];
BEGIN
    SELECT n.after_at, n.after_id, n.looked, n.page INTO after_at, after_id, looked, page
    FROM next_old_jobs(NULL, older, most, after_at, after_id) n;
    pruned_jobs := delete_families(ARRAY(SELECT id FROM closed_families(older) WHERE id = ANY (page)), older);
    DELETE FROM job_attempts a
    WHERE job_id = ANY (page) AND EXISTS (SELECT FROM job_attempts WHERE job_id = a.job_id AND attempt > a.attempt)
        AND EXISTS (SELECT FROM jobs WHERE id = a.job_id AND finished_at < now() - older);
    GET DIAGNOSTICS pruned_attempts = ROW_COUNT;
END
$$;

-- What a policy of the tenant of the transaction means: finished jobs in these states, all states if none is named. Of
-- a family its parent's age and state count.
CREATE FUNCTION families_of_policy(older interval, in_states text[]) RETURNS TABLE (id uuid)
LANGUAGE sql STABLE AS $$
    SELECT f.id FROM closed_families(older) f
    WHERE f.tenant_id = current_tenant() AND (in_states = '{}' OR f.state = ANY (in_states))
        AND NOT EXISTS (SELECT FROM webhook_deliveries w WHERE w.job_id = f.id AND w.ended_at IS NULL)
$$;

DROP FUNCTION old_jobs(interval, text[], integer, timestamptz, uuid);
-- How many jobs a policy means, and `most` of them, those that ended first.
CREATE FUNCTION old_jobs(older interval, in_states text[], most integer, OUT many bigint, OUT ids uuid[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    WITH head AS MATERIALIZED (
        SELECT id FROM families_of_policy(older, in_states)
    ), old AS MATERIALIZED (
        SELECT j.id, j.finished_at FROM head JOIN jobs j USING (id)
        UNION ALL SELECT c.id, c.finished_at FROM head JOIN jobs c ON c.parent_id = head.id
    )
    SELECT count(*), ARRAY(SELECT id FROM old ORDER BY finished_at, id LIMIT most) INTO many, ids FROM old;
END
$$;

CREATE OR REPLACE FUNCTION prune_old_jobs(
    older interval, in_states text[], most integer, INOUT after_at timestamptz, INOUT after_id uuid,
    OUT looked integer, OUT pruned integer
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    page uuid[];
BEGIN
    SELECT n.after_at, n.after_id, n.looked, n.page INTO after_at, after_id, looked, page
    FROM next_old_jobs(current_tenant(), older, most, after_at, after_id) n;
    pruned := delete_families(
        ARRAY(SELECT id FROM families_of_policy(older, in_states) WHERE id = ANY (page)), older
    );
END
$$;

DROP FUNCTION hold_families(uuid[], interval), family_is_closed(uuid, interval);
REVOKE EXECUTE ON FUNCTION closed_families(interval), next_old_jobs(uuid, interval, integer, timestamptz, uuid),
    delete_families(uuid[], interval), families_of_policy(interval, text[]),
    old_jobs(interval, text[], integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION old_jobs(interval, text[], integer) TO arqueduct_worker;
