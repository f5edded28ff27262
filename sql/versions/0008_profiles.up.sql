-- What a worker has installed, as it tells at its start; the row goes with the worker's sign of life.
CREATE TABLE installations (
    worker_id TEXT NOT NULL,
    installed JSONB NOT NULL,
    told_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (worker_id),
    FOREIGN KEY(worker_id) REFERENCES workers (id) ON DELETE CASCADE
);

-- How a tenant wants documents processed. What it says is in its versions, which nobody changes: a project pins one.
CREATE TABLE profiles (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    version INTEGER DEFAULT '1' NOT NULL,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT version CHECK (version > 0),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(created_by) REFERENCES users (id) ON DELETE SET NULL
);
CREATE UNIQUE INDEX profiles_name_idx ON profiles (tenant_id, name) WHERE archived_at IS NULL;
CREATE INDEX profiles_tenant_id_id_idx ON profiles (tenant_id, id);

CREATE TABLE profile_versions (
    profile_id UUID NOT NULL,
    version INTEGER NOT NULL,
    tenant_id UUID NOT NULL,
    settings JSONB NOT NULL,
    created_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (profile_id, version),
    FOREIGN KEY(profile_id) REFERENCES profiles (id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(created_by) REFERENCES users (id) ON DELETE SET NULL
);

ALTER TABLE profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE profile_versions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON profiles TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON profile_versions TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));

GRANT SELECT ON installations TO arqueduct_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON installations TO arqueduct_worker;
GRANT SELECT, INSERT, UPDATE (name, description, version, updated_at, archived_at) ON profiles TO arqueduct_app;
GRANT SELECT, INSERT ON profile_versions TO arqueduct_app;
