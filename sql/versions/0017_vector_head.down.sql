DROP FUNCTION merge_vectors(integer), count_vector_head(bigint, interval);

-- An older release wants every vector in the index.
DO $$
DECLARE
    new record;
BEGIN
    FOR new IN SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename = 'embeddings' AND indexname LIKE 'embeddings\_hnsw\_%'
    LOOP
        EXECUTE format('DROP INDEX %I', new.indexname);
        EXECUTE replace(new.indexdef, ' AND indexed)', ')');
    END LOOP;
END
$$;

DROP INDEX embeddings_body_idx, embeddings_head_idx;
ALTER TABLE embeddings RESET (toast_tuple_target);
ALTER TABLE embeddings DROP COLUMN indexed;
DROP FUNCTION vector_head_is_full();
DROP TABLE vector_head;
