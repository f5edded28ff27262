-- A new vector is in the head: found by an exact scan, and moved into the HNSW index when there is time for it.
-- docs/decisions/0019 says why, and what the head may cost.
CREATE TABLE vector_head (
    id BOOLEAN DEFAULT true NOT NULL,
    vectors BIGINT DEFAULT '0' NOT NULL,
    is_full BOOLEAN DEFAULT false NOT NULL,
    counted_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT one_row CHECK (id)
);

INSERT INTO vector_head DEFAULT VALUES;

CREATE FUNCTION vector_head_is_full() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
RETURN EXISTS (SELECT FROM vector_head WHERE is_full);

-- What is there is in the index already. A constant default writes no row anew.
ALTER TABLE embeddings ADD COLUMN indexed BOOLEAN DEFAULT true NOT NULL;
ALTER TABLE embeddings ALTER COLUMN indexed SET DEFAULT vector_head_is_full();

-- Long vectors lie in the row as well: a scan of the head reads them three times as fast (1,536 dimensions).
ALTER TABLE embeddings SET (toast_tuple_target = 8160);

-- The head, of one tenant or of all; and how many of a tenant are in the HNSW index. A partial index has the size of the
-- head whatever statistics say, so the planner takes it.
CREATE INDEX embeddings_head_idx ON embeddings (tenant_id, model_id) WHERE NOT indexed;
CREATE INDEX embeddings_body_idx ON embeddings (tenant_id, model_id) WHERE indexed;

-- The indexes of models (`ensure_model`) are built anew, without the head.
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename = 'embeddings' AND indexname LIKE 'embeddings\_hnsw\_%'
    LOOP
        EXECUTE format('DROP INDEX %I', old.indexname);
        EXECUTE old.indexdef || ' AND indexed';
    END LOOP;
END
$$;

-- How many vectors the head has, counted at most once `every` so long, by whoever comes first.
CREATE FUNCTION count_vector_head(most bigint, every interval) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    counted bigint;
BEGIN
    PERFORM FROM vector_head WHERE counted_at IS NULL OR counted_at <= now() - every FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        counted := (SELECT count(*) FROM embeddings WHERE NOT indexed);
        UPDATE vector_head SET vectors = counted, is_full = counted >= most, counted_at = now();
    END IF;
    RETURN (SELECT vectors FROM vector_head);
END
$$;

-- Moves so many vectors of any tenant from the head into the index; returns how many there were.
CREATE FUNCTION merge_vectors(most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    merged integer;
BEGIN
    UPDATE embeddings SET indexed = true WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM embeddings WHERE NOT indexed LIMIT most FOR NO KEY UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS merged = ROW_COUNT;
    RETURN merged;
END
$$;

REVOKE EXECUTE ON FUNCTION count_vector_head(bigint, interval), merge_vectors(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_vector_head(bigint, interval), merge_vectors(integer) TO arqueduct_worker;
GRANT SELECT ON vector_head TO arqueduct_worker;
