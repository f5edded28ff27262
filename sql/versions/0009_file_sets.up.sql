-- A document may be here before any job has it: then `job_id` is null, and the API calls it `uploaded`.
ALTER TABLE documents ALTER COLUMN job_id DROP NOT NULL;

-- Counted when it is stored, so that statistics of a set need not look at its chunks.
ALTER TABLE documents ADD COLUMN tokens BIGINT;

UPDATE documents d SET tokens = (SELECT coalesce(sum(c.tokens), 0) FROM chunks c WHERE c.document_id = d.id)
WHERE chunks IS NOT NULL;

CREATE TABLE file_sets (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    metadata JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id)
);

CREATE INDEX file_sets_tenant_id_id_idx ON file_sets (tenant_id, id);

CREATE TABLE file_set_files (
    file_set_id UUID NOT NULL,
    document_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    path TEXT COLLATE "C" NOT NULL,
    added_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (file_set_id, document_id),
    CONSTRAINT file_set_files_file_set_id_path_key UNIQUE (file_set_id, path),
    FOREIGN KEY(file_set_id) REFERENCES file_sets (id) ON DELETE CASCADE,
    FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE INDEX file_set_files_document_id_idx ON file_set_files (document_id);

ALTER TABLE file_sets ENABLE ROW LEVEL SECURITY;
ALTER TABLE file_set_files ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_tenant ON file_sets TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON file_set_files TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));

GRANT SELECT, INSERT, UPDATE, DELETE ON file_sets, file_set_files TO arqueduct_app;
GRANT SELECT ON file_sets, file_set_files TO arqueduct_worker;

-- Whoever hides a document takes it out of its sets, in the same transaction. Who adds one to a set holds its row
-- (FOR SHARE) meanwhile, so neither misses the other. The set's own row is not touched: one that is being filled holds
-- it while it waits for documents.
CREATE FUNCTION leave_file_sets() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM file_set_files WHERE document_id = NEW.id;
    RETURN NULL;
END
$$;

REVOKE EXECUTE ON FUNCTION leave_file_sets() FROM PUBLIC;

CREATE TRIGGER leave_file_sets AFTER UPDATE OF deleted_at ON documents FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION leave_file_sets();
