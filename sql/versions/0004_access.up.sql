ALTER TABLE users ADD COLUMN name TEXT;
ALTER TABLE users ADD COLUMN disabled_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE api_keys ADD COLUMN requests_per_minute INTEGER;
ALTER TABLE api_keys ADD CONSTRAINT requests_per_minute CHECK (requests_per_minute > 0);
CREATE INDEX api_keys_tenant_id_id_idx ON api_keys (tenant_id, id);
CREATE INDEX memberships_user_id_idx ON memberships (user_id);

-- A person who signed in, on one device. It ends at the latest at `expires_at`, whatever is renewed.
CREATE TABLE sessions (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    renewed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    ended_why TEXT,
    method TEXT NOT NULL,
    address TEXT,
    user_agent TEXT,
    PRIMARY KEY (id),
    CONSTRAINT ended CHECK ((ended_at IS NULL) = (ended_why IS NULL)),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX sessions_user_id_idx ON sessions (user_id);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);

-- Each is good for one renewal. One that comes again was stolen, or its thief came first: the session ends.
CREATE TABLE refresh_tokens (
    token_hash BYTEA NOT NULL,
    session_id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (token_hash),
    FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_session_id_idx ON refresh_tokens (session_id);

CREATE TABLE invitations (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    invited_by UUID,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    accepted_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (token_hash),
    CONSTRAINT role CHECK (role IN ('owner', 'admin', 'editor', 'viewer', 'service')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(invited_by) REFERENCES users (id) ON DELETE SET NULL
);
CREATE INDEX invitations_tenant_id_id_idx ON invitations (tenant_id, id);

-- Handed out by an administrator; not a tenant's, because a password is a person's.
CREATE TABLE password_resets (
    token_hash BYTEA NOT NULL,
    user_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (token_hash),
    FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX password_resets_user_id_idx ON password_resets (user_id);

-- As whom an OpenID provider knows a person.
CREATE TABLE external_identities (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (issuer, subject),
    FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX external_identities_user_id_idx ON external_identities (user_id);

-- Who did what, or tried to. Nobody who serves can change or delete a line. It outlives what it names, so it has no
-- foreign keys. Without a tenant: somebody who could not say who he is.
CREATE TABLE audit_log (
    id UUID NOT NULL,
    tenant_id UUID,
    at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    code TEXT,
    user_id UUID,
    key_id UUID,
    session_id UUID,
    role TEXT,
    address TEXT,
    user_agent TEXT,
    request_id TEXT,
    target TEXT,
    before JSONB,
    after JSONB,
    PRIMARY KEY (id),
    CONSTRAINT outcome CHECK (outcome IN ('done', 'denied', 'failed'))
);
CREATE INDEX audit_log_tenant_id_id_idx ON audit_log (tenant_id, id);

-- The answer to a request, kept so that the same request sent again does nothing twice.
CREATE TABLE kept_answers (
    tenant_id UUID NOT NULL,
    user_id UUID NOT NULL,
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    claimed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    claim INTEGER DEFAULT '0' NOT NULL,
    status INTEGER,
    headers JSONB,
    body BYTEA,
    PRIMARY KEY (tenant_id, user_id, key),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX kept_answers_created_at_idx ON kept_answers (created_at);

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE password_resets ENABLE ROW LEVEL SECURITY;  -- for the functions below alone
ALTER TABLE external_identities ENABLE ROW LEVEL SECURITY;  -- for the functions below alone
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE kept_answers ENABLE ROW LEVEL SECURITY;

CREATE POLICY own_tenant ON sessions TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY all_tenants ON sessions TO arqueduct_worker USING (true);
CREATE POLICY own_tenant ON refresh_tokens TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON invitations TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON audit_log FOR SELECT TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
-- Strangers are written down too, in a transaction without a tenant.
CREATE POLICY own_entries ON audit_log FOR INSERT TO arqueduct_app
    WITH CHECK (tenant_id IS NOT DISTINCT FROM (SELECT current_tenant()));
CREATE POLICY own_tenant ON kept_answers TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY all_tenants ON kept_answers TO arqueduct_worker USING (true);

GRANT SELECT (name, disabled_at) ON users TO arqueduct_app;
GRANT UPDATE (name) ON tenants TO arqueduct_app;
GRANT INSERT, DELETE ON memberships TO arqueduct_app;
GRANT UPDATE (role) ON memberships TO arqueduct_app;
GRANT INSERT ON api_keys TO arqueduct_app;
GRANT SELECT (requests_per_minute), UPDATE (name, revoked_at, requests_per_minute) ON api_keys TO arqueduct_app;
GRANT SELECT, INSERT ON sessions, refresh_tokens TO arqueduct_app;
GRANT UPDATE (ended_at, ended_why) ON sessions TO arqueduct_app;
GRANT SELECT (id, tenant_id, email, role, invited_by, created_at, expires_at, accepted_at, revoked_at), INSERT,
    UPDATE (revoked_at) ON invitations TO arqueduct_app;
GRANT SELECT, INSERT ON audit_log TO arqueduct_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON kept_answers TO arqueduct_app;
GRANT SELECT, DELETE ON sessions, kept_answers TO arqueduct_worker;

-- Everything below happens before a tenant is known, or to a person, who may belong to several.

DROP FUNCTION authenticate(bytea);
CREATE FUNCTION authenticate(presented bytea)
RETURNS TABLE (key_id uuid, tenant_id uuid, user_id uuid, role text, scopes text[], requests_per_minute integer)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE api_keys SET last_used_at = now()
    WHERE key_hash = presented AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
    RETURN QUERY
        SELECT k.id, k.tenant_id, k.user_id, m.role, k.scopes, k.requests_per_minute
        FROM api_keys k JOIN memberships m ON m.tenant_id = k.tenant_id AND m.user_id = k.user_id
            JOIN users u ON u.id = k.user_id
        WHERE k.key_hash = presented AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
            AND u.disabled_at IS NULL;
END
$$;

-- What a session is worth now: its role may have changed, and it may have ended.
CREATE FUNCTION session_identity(session uuid)
RETURNS TABLE (tenant_id uuid, user_id uuid, role text, expires_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.tenant_id, s.user_id, m.role, s.expires_at
    FROM sessions s JOIN memberships m ON m.tenant_id = s.tenant_id AND m.user_id = s.user_id
        JOIN users u ON u.id = s.user_id
    WHERE s.id = session AND s.ended_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL
$$;

-- Whom a password is to be compared with. Addresses are the same whatever their case.
CREATE FUNCTION credentials_of(address text) RETURNS TABLE (user_id uuid, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id, password_hash FROM users WHERE lower(email) = lower(address) AND disabled_at IS NULL
$$;
CREATE FUNCTION credentials_of_user(known uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT password_hash FROM users WHERE id = known AND disabled_at IS NULL
$$;

-- Where somebody may sign in, the oldest membership first.
CREATE FUNCTION tenants_of(known uuid) RETURNS TABLE (tenant_id uuid, name text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT m.tenant_id, t.name, m.role FROM memberships m JOIN tenants t ON t.id = m.tenant_id
        JOIN users u ON u.id = m.user_id
    WHERE m.user_id = known AND u.disabled_at IS NULL ORDER BY m.created_at, m.tenant_id
$$;

-- Trades a refresh token for the next one. `verdict` is 'renewed', or why not: 'unknown', 'reused', 'over'.
CREATE FUNCTION renew_session(presented bytea, next_hash bytea, next_expires timestamptz,
    OUT verdict text, OUT session_id uuid, OUT tenant_id uuid, OUT user_id uuid)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
    token refresh_tokens;
    kept sessions;
BEGIN
    SELECT * INTO token FROM refresh_tokens WHERE token_hash = presented FOR UPDATE;
    IF NOT FOUND THEN
        verdict := 'unknown';
        RETURN;
    END IF;
    SELECT * INTO kept FROM sessions WHERE id = token.session_id FOR UPDATE;
    session_id := kept.id;
    tenant_id := kept.tenant_id;
    user_id := kept.user_id;
    IF token.used_at IS NOT NULL THEN
        verdict := 'reused';
        UPDATE sessions SET ended_at = now(), ended_why = 'reuse' WHERE id = kept.id AND ended_at IS NULL;
    ELSIF kept.ended_at IS NOT NULL OR kept.expires_at <= now() OR token.expires_at <= now()
        OR NOT EXISTS (SELECT FROM session_identity(kept.id)) THEN
        verdict := 'over';
    ELSE
        verdict := 'renewed';
        UPDATE refresh_tokens SET used_at = now() WHERE token_hash = presented;
        INSERT INTO refresh_tokens (token_hash, session_id, tenant_id, expires_at)
        VALUES (next_hash, kept.id, kept.tenant_id, least(next_expires, kept.expires_at));
        UPDATE sessions SET renewed_at = now() WHERE id = kept.id;
    END IF;
END
$$;

-- Ends the sessions of a person in every tenant, all but one. Returns how many.
CREATE FUNCTION end_sessions_of(known uuid, why text, but_not uuid DEFAULT NULL) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH ended AS (
        UPDATE sessions SET ended_at = now(), ended_why = why
        WHERE user_id = known AND ended_at IS NULL AND id IS DISTINCT FROM but_not RETURNING 1
    )
    SELECT count(*) FROM ended
$$;

-- A changed password ends whatever was opened with the old one, and voids resets that are still out.
CREATE FUNCTION set_password(known uuid, hashed text, but_not uuid DEFAULT NULL) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE users SET password_hash = hashed WHERE id = known;
    UPDATE password_resets SET used_at = now() WHERE user_id = known AND used_at IS NULL;
    PERFORM end_sessions_of(known, 'password', but_not);
END
$$;

-- Lets a member of the current tenant choose a new password. False: there is no such member, or he belongs to other
-- tenants too, whose administrators have a say as well.
CREATE FUNCTION offer_reset(known uuid, hashed bytea, expires timestamptz) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM memberships WHERE user_id = known AND tenant_id = current_tenant())
        OR EXISTS (SELECT FROM memberships WHERE user_id = known AND tenant_id <> current_tenant()) THEN
        RETURN false;
    END IF;
    INSERT INTO password_resets (token_hash, user_id, expires_at) VALUES (hashed, known, expires);
    RETURN true;
END
$$;

-- Null: the token is unknown, used or too old.
CREATE FUNCTION redeem_reset(presented bytea, hashed text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    known uuid;
BEGIN
    UPDATE password_resets SET used_at = now()
    WHERE token_hash = presented AND used_at IS NULL AND expires_at > now() RETURNING user_id INTO known;
    IF known IS NOT NULL THEN
        PERFORM set_password(known, hashed);
    END IF;
    RETURN known;
END
$$;

-- An invitation that is still open, and who has its address already.
CREATE FUNCTION open_invitation(presented bytea)
RETURNS TABLE (id uuid, tenant_id uuid, tenant text, email text, role text, user_id uuid, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.id, i.tenant_id, t.name, i.email, i.role, u.id, u.password_hash
    FROM invitations i JOIN tenants t ON t.id = i.tenant_id LEFT JOIN users u ON lower(u.email) = lower(i.email)
    WHERE i.token_hash = presented AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now()
$$;
CREATE FUNCTION invitation_for(address text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id FROM invitations
    WHERE lower(email) = lower(address) AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()
    ORDER BY created_at LIMIT 1
$$;

-- Makes its guest a member, and a user if he is none yet. Null: it is open no more, or he is disabled.
CREATE FUNCTION accept_invitation(invitation uuid, new_user uuid, called text, hashed text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    open invitations;
    guest users;
BEGIN
    UPDATE invitations SET accepted_at = now()
    WHERE id = invitation AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now() RETURNING * INTO open;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO guest FROM users WHERE lower(email) = lower(open.email);
    IF NOT FOUND THEN
        INSERT INTO users (id, email, name, password_hash) VALUES (new_user, open.email, called, hashed)
        RETURNING * INTO guest;
    ELSIF guest.disabled_at IS NOT NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO memberships (tenant_id, user_id, role) VALUES (open.tenant_id, guest.id, open.role)
    ON CONFLICT DO NOTHING;
    RETURN guest.id;
END
$$;

-- A service account: no person, no password, only keys.
CREATE FUNCTION create_service(new_user uuid, address text, called text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO users (id, email, name, password_hash) VALUES (new_user, address, called, '');
    INSERT INTO memberships (tenant_id, user_id, role) SELECT current_tenant(), new_user, 'service'
$$;

CREATE FUNCTION user_of_external(from_issuer text, known_subject text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.user_id FROM external_identities e JOIN users u ON u.id = e.user_id
    WHERE e.issuer = from_issuer AND e.subject = known_subject AND u.disabled_at IS NULL
$$;
CREATE FUNCTION link_external(from_issuer text, new_subject text, known uuid) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO external_identities (issuer, subject, user_id) VALUES (from_issuer, new_subject, known)
    ON CONFLICT DO NOTHING
$$;

CREATE UNIQUE INDEX users_address_idx ON users (lower(email));

DO $$
DECLARE
    made text;
BEGIN
    FOREACH made IN ARRAY ARRAY[
        'authenticate(bytea)', 'session_identity(uuid)', 'credentials_of(text)', 'credentials_of_user(uuid)',
        'tenants_of(uuid)', 'renew_session(bytea, bytea, timestamptz)', 'end_sessions_of(uuid, text, uuid)',
        'set_password(uuid, text, uuid)', 'offer_reset(uuid, bytea, timestamptz)', 'redeem_reset(bytea, text)',
        'open_invitation(bytea)', 'invitation_for(text)', 'accept_invitation(uuid, uuid, text, text)',
        'create_service(uuid, text, text)', 'user_of_external(text, text)', 'link_external(text, text, uuid)'
    ] LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', made);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO arqueduct_app', made);
    END LOOP;
END
$$;
