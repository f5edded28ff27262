-- An older release looks for an original under the name it came with, and nowhere else; one that a policy removed it
-- takes to be there, and would drop the bytes of an upload of the same file. It shows what is archived.
DO $$
BEGIN
    IF EXISTS (SELECT FROM blobs WHERE place <> 'hot' OR copy IS NOT NULL) THEN
        RAISE EXCEPTION 'Some originals are where the older release does not look for them.'
            USING HINT = 'Stay with this release, or delete the documents that were archived, restored or not, and those without their original.';
    END IF;
    IF EXISTS (SELECT FROM documents WHERE archived_at IS NOT NULL OR original_removed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'Some documents are archived, or without their original, which the older release cannot tell.'
            USING HINT = 'Stay with this release, or restore the archived documents and delete those without their original.';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION search_text(language regconfig, query text, most integer, only_documents uuid[])
RETURNS TABLE (chunk_id uuid, rank real)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH question AS MATERIALIZED (
        SELECT CASE WHEN asked::text LIKE '%!%' THEN asked ELSE replace(asked::text, ' & ', ' | ')::tsquery END AS words
        FROM websearch_to_tsquery(language, query) asked WHERE numnode(asked) > 0
    )
    SELECT c.id, ts_rank_cd(c.tsv, q.words, 1 | 4) AS rank
    FROM question q
    JOIN chunks c ON c.tsv @@ q.words
    JOIN documents d ON d.id = c.document_id AND d.deleted_at IS NULL
    WHERE c.tenant_id = current_tenant() AND (only_documents IS NULL OR c.document_id = ANY (only_documents))
    ORDER BY rank DESC, c.id
    LIMIT most
$$;

DROP TRIGGER count_usage_in ON documents;
DROP TRIGGER count_usage_out ON documents;
DROP TRIGGER count_usage_changed ON documents;
DROP FUNCTION count_usage_in(), count_usage_out(), count_usage_changed(), fold_usage(integer),
    queue_retention(interval), prune_old_jobs(interval, text[], integer, timestamptz, uuid),
    old_jobs(interval, text[], integer, timestamptz, uuid);
DROP TABLE upkeep_runs, retention_policies, usage_changes, usage, user_quotas, tenant_quotas;

DROP INDEX jobs_tenant_unfinished_idx;
DROP INDEX documents_tenant_id_created_at_idx;
DROP INDEX documents_archived_idx;
ALTER TABLE documents DROP COLUMN original_removed_at, DROP COLUMN archived_at;
REVOKE UPDATE (place, copy, cold_size) ON blobs FROM arqueduct_worker;
ALTER TABLE blobs DROP COLUMN cold_size, DROP COLUMN copy, DROP COLUMN place;
