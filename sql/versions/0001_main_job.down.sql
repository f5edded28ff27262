DROP FUNCTION search_text(regconfig, text, integer, uuid[]);
DROP FUNCTION authenticate(bytea);
DROP TABLE chunks, job_events, documents, memberships, jobs, embeddings, deletions, blobs, api_keys, workers, users, tenants, embedding_models;
DROP FUNCTION current_tenant();
DROP EXTENSION vector;
-- The roles stay: other databases of the cluster may use them.
