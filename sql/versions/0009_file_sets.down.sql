DROP TRIGGER leave_file_sets ON documents;
DROP FUNCTION leave_file_sets();
DROP TABLE file_set_files;
DROP TABLE file_sets;
ALTER TABLE documents DROP COLUMN tokens;
-- A document without a job is shown by no older version. Each of these gets one that was cancelled before it began,
-- so that its owner still sees it and can retry it.
WITH waiting AS (
    UPDATE documents SET job_id = gen_random_uuid() WHERE job_id IS NULL RETURNING *
), made AS (
    INSERT INTO jobs (id, tenant_id, user_id, kind, document_id, document_name, state, stage, message, finished_at)
    SELECT job_id, tenant_id, user_id, 'document.ingest', id, name, 'cancelled', 'cancelled',
        'it was uploaded without a job', now()
    FROM waiting WHERE deleted_at IS NULL RETURNING *
)
INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, attempt)
SELECT id, seq, tenant_id, 'job_cancelled', state, stage, progress, 0 FROM made;
ALTER TABLE documents ALTER COLUMN job_id SET NOT NULL;
