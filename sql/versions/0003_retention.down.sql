REVOKE UPDATE (size) ON blobs FROM arqueduct_worker;
DROP FUNCTION prune_events(interval, integer, timestamptz);
DROP FUNCTION prune_jobs(interval, integer, timestamptz, uuid);
DROP TABLE chores;
DROP INDEX documents_job_id_idx;
DROP INDEX job_events_passing_idx;
DROP INDEX jobs_finished_idx;
