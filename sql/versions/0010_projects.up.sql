-- A file set, processed under a profile. `job_id` is its newest run, as the job with the children.
CREATE TABLE projects (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    file_set_id UUID,
    job_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id),
    FOREIGN KEY(file_set_id) REFERENCES file_sets (id) ON DELETE SET NULL,
    FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE INDEX projects_tenant_id_id_idx ON projects (tenant_id, id);
CREATE INDEX projects_job_id_idx ON projects (job_id);
CREATE INDEX projects_file_set_id_idx ON projects (file_set_id);

-- Each time it was processed, with the settings of that time. A run goes with its job.
CREATE TABLE project_runs (
    project_id UUID NOT NULL,
    number INTEGER NOT NULL,
    tenant_id UUID NOT NULL,
    job_id UUID NOT NULL,
    profile_id UUID,
    profile_name TEXT NOT NULL,
    profile_version INTEGER NOT NULL,
    skipped INTEGER DEFAULT '0' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (project_id, number),
    FOREIGN KEY(project_id) REFERENCES projects (id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE INDEX project_runs_job_id_idx ON project_runs (job_id);

-- What failed, of a tenant: for its error report.
CREATE INDEX jobs_failed_idx ON jobs (tenant_id, finished_at, id) WHERE state = 'failed';

ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE project_runs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON projects TO arqueduct_app, arqueduct_worker USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON project_runs TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON projects TO arqueduct_app;
GRANT SELECT, INSERT ON project_runs TO arqueduct_app;
GRANT SELECT ON projects, project_runs TO arqueduct_worker;

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

-- As in 0003, by families.
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
