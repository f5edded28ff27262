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

-- As in 0003; a project keeps its newest run, and a family goes as a whole: the counters of a parent are those of its
-- rows for as long as there are any.
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
    closed := ARRAY(
        SELECT p.id FROM jobs p
        WHERE p.id IN (SELECT parent_id FROM jobs WHERE id = ANY (page)) AND p.finished_at < now() - older
            AND NOT EXISTS (SELECT FROM projects WHERE job_id = p.id)
            AND NOT EXISTS (
                SELECT FROM jobs c WHERE c.parent_id = p.id AND (
                    c.finished_at IS NULL OR c.finished_at >= now() - older
                    OR EXISTS (SELECT FROM documents WHERE job_id = c.id))
            )
    );
    held := ARRAY(
        SELECT id FROM jobs j
        WHERE id = ANY (page) AND finished_at < now() - older AND NOT EXISTS (SELECT FROM documents WHERE job_id = j.id)
            AND NOT EXISTS (SELECT FROM projects WHERE job_id = j.id)
            AND (parent_id IS NULL OR parent_id = ANY (closed))
        FOR UPDATE SKIP LOCKED
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
