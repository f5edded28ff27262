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
    JOIN documents d ON d.id = c.document_id AND d.deleted_at IS NULL AND d.archived_at IS NULL
    WHERE c.tenant_id = current_tenant() AND (only_documents IS NULL OR c.document_id = ANY (only_documents))
    ORDER BY rank DESC, c.id
    LIMIT most
$$;

DROP FUNCTION bm25(uuid[], text[], float8[], float8),
    passages_with_common(uuid, text[], float8[], uuid[], float8, integer),
    weightiest(uuid[], text[], integer, float8, integer, float8[]), passages_with(uuid, tsquery, uuid[], integer),
    word_statistics(uuid, text[]), word_weight(float8, float8), as_question(regconfig, text), any_of(text[]),
    as_word(text);

-- The extension stays: the database may use it for something else.
DROP INDEX chunks_tenant_id_tsv_idx;
CREATE INDEX chunks_tsv_idx ON chunks USING gin (tsv);
