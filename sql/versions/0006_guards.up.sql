-- What gave an administrator the right to another's password must still be so when the token is used: that is what the
-- roles are kept for. No tenant: by who runs the installation.
ALTER TABLE password_resets ADD COLUMN tenant_id UUID REFERENCES tenants (id) ON DELETE CASCADE;
ALTER TABLE password_resets ADD COLUMN role TEXT;
ALTER TABLE password_resets ADD COLUMN offered_by UUID REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE password_resets ADD COLUMN offered_as TEXT;
-- Of those that are out nobody knows by whom.
UPDATE password_resets SET used_at = now() WHERE used_at IS NULL;

-- Nobody dates a line of the audit log himself.
REVOKE INSERT ON audit_log FROM arqueduct_app;
GRANT INSERT (id, tenant_id, action, outcome, code, user_id, key_id, session_id, role, address, user_agent, request_id,
    target, before, after) ON audit_log TO arqueduct_app;

-- A temporary table would stand before the real one of its name for whoever uses the connection next. Only who owns the
-- database can say so; for who does not, it is among the statements that an administrator is asked to run.
DO $$
BEGIN
    IF pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
END
$$;

-- By what addresses are compared: letters of ASCII only. Postgres takes others for each other too, so that one person had
-- many spellings, and as many budgets for guessing.
CREATE FUNCTION address_key(address text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lower(address COLLATE "C");
DROP INDEX users_address_idx;
CREATE UNIQUE INDEX users_address_idx ON users (address_key(email));

DROP FUNCTION credentials_of(text),
    open_invitation(bytea),
    authenticate(bytea),
    session_identity(uuid),
    end_sessions_of(uuid, text, uuid),
    set_password(uuid, text, uuid),
    offer_reset(uuid, bytea, timestamptz),
    redeem_reset(bytea, text),
    invitation_for(text),
    accept_invitation(uuid, uuid, text, text);

CREATE FUNCTION authenticate(presented bytea)
RETURNS TABLE (key_id uuid, tenant_id uuid, user_id uuid, role text, scopes text[], requests_per_minute integer,
    expires_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE api_keys SET last_used_at = now()
    WHERE key_hash = presented AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
    RETURN QUERY
        SELECT k.id, k.tenant_id, k.user_id, m.role, k.scopes, k.requests_per_minute, k.expires_at
        FROM api_keys k JOIN memberships m ON m.tenant_id = k.tenant_id AND m.user_id = k.user_id
                AND m.created_at <= k.created_at  -- of an earlier membership nothing comes back
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
            AND m.created_at <= s.created_at
        JOIN users u ON u.id = s.user_id
    WHERE s.id = session AND s.ended_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL
$$;

-- The same, and nobody changes the password until the transaction ends: what was proved with it still holds then.
CREATE FUNCTION hold_credentials_of(known uuid) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('password ' || known, 0));
    RETURN (SELECT password_hash FROM users WHERE id = known AND disabled_at IS NULL);
END
$$;

-- Whom a password is to be compared with. Addresses are the same whatever their case.
CREATE FUNCTION credentials_of(address text) RETURNS TABLE (user_id uuid, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id, password_hash FROM users WHERE address_key(email) = address_key(address) AND disabled_at IS NULL
$$;

-- Ends the sessions of a person in every tenant, all but one. Returns how many, where.
CREATE FUNCTION end_sessions_of(known uuid, why text, but_not uuid DEFAULT NULL)
RETURNS TABLE (tenant_id uuid, ended bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH ended AS (
        UPDATE sessions s SET ended_at = now(), ended_why = why
        WHERE s.user_id = known AND s.ended_at IS NULL AND s.expires_at > now() AND s.id IS DISTINCT FROM but_not
        RETURNING s.tenant_id
    )
    SELECT e.tenant_id, count(*) FROM ended e GROUP BY e.tenant_id
$$;

-- A changed password ends whatever was opened with the old one, and voids resets that are still out.
CREATE FUNCTION set_password(known uuid, hashed text, but_not uuid DEFAULT NULL)
RETURNS TABLE (tenant_id uuid, ended bigint)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('password ' || known, 0));
    UPDATE users SET password_hash = hashed WHERE id = known;
    UPDATE password_resets SET used_at = now() WHERE user_id = known AND used_at IS NULL;
    SELECT * FROM end_sessions_of(known, 'password', but_not)
$$;

-- Lets a member of the current tenant choose a new password. False: there is no such member, or he belongs to other
-- tenants too, whose administrators have a say as well.
CREATE FUNCTION offer_reset(known uuid, hashed bytea, expires timestamptz, offerer uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM memberships WHERE user_id = known AND tenant_id = current_tenant())
        OR EXISTS (SELECT FROM memberships WHERE user_id = known AND tenant_id <> current_tenant()) THEN
        RETURN false;
    END IF;
    INSERT INTO password_resets (token_hash, user_id, expires_at, tenant_id, role, offered_by, offered_as)
    SELECT hashed, known, expires, m.tenant_id, m.role, o.user_id, o.role
    FROM memberships m JOIN memberships o ON o.tenant_id = m.tenant_id AND o.user_id = offerer
    WHERE m.user_id = known AND m.tenant_id = current_tenant();
    RETURN FOUND;
END
$$;

-- Null: the token is unknown, used or too old, or could not be offered any more: its person has another role or belongs
-- to other tenants, or who offered it has another role or is none of the tenant's. Memberships are held meanwhile.
CREATE FUNCTION redeem_reset(presented bytea, hashed text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    offered password_resets;
BEGIN
    -- In the order in which a change of the password locks: the person, then what is out for him.
    PERFORM pg_advisory_xact_lock(hashtextextended('password ' || r.user_id, 0))
    FROM password_resets r WHERE r.token_hash = presented;
    UPDATE password_resets SET used_at = now()
    WHERE token_hash = presented AND used_at IS NULL AND expires_at > now() RETURNING * INTO offered;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF offered.tenant_id IS NOT NULL THEN
        PERFORM FROM memberships
        WHERE user_id = offered.user_id OR (user_id = offered.offered_by AND tenant_id = offered.tenant_id)
        ORDER BY tenant_id, user_id FOR KEY SHARE;
        IF EXISTS (SELECT FROM memberships WHERE user_id = offered.user_id AND tenant_id <> offered.tenant_id)
            OR NOT EXISTS (
                SELECT FROM memberships WHERE user_id = offered.user_id AND tenant_id = offered.tenant_id
                    AND role = offered.role AND created_at <= offered.created_at)
            OR NOT EXISTS (
                SELECT FROM memberships o JOIN users u ON u.id = o.user_id
                WHERE o.user_id = offered.offered_by AND o.tenant_id = offered.tenant_id
                    AND o.role = offered.offered_as AND o.created_at <= offered.created_at AND u.disabled_at IS NULL)
        THEN
            RETURN NULL;
        END IF;
    END IF;
    PERFORM set_password(offered.user_id, hashed);
    RETURN offered.user_id;
END
$$;

-- An invitation that is still open, and who has its address already.
CREATE FUNCTION open_invitation(presented bytea)
RETURNS TABLE (id uuid, tenant_id uuid, tenant text, email text, role text, user_id uuid, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.id, i.tenant_id, t.name, i.email, i.role, u.id, u.password_hash
    FROM invitations i JOIN tenants t ON t.id = i.tenant_id LEFT JOIN users u ON address_key(u.email) = address_key(i.email)
    WHERE i.token_hash = presented AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now()
        AND NOT EXISTS (SELECT FROM users b WHERE b.id = i.invited_by AND b.disabled_at IS NOT NULL)
$$;

-- The open invitations of an address: the newest of each tenant.
CREATE FUNCTION invitations_for(address text) RETURNS TABLE (id uuid, tenant_id uuid, tenant text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT ON (i.tenant_id) i.id, i.tenant_id, t.name FROM invitations i JOIN tenants t ON t.id = i.tenant_id
    WHERE address_key(i.email) = address_key(address) AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now()
        AND NOT EXISTS (SELECT FROM users b WHERE b.id = i.invited_by AND b.disabled_at IS NOT NULL)
    ORDER BY i.tenant_id, i.created_at DESC
$$;

-- Makes its guest a member: who has the address, else `new_user`, who is made if he is none yet. Null: it is open no
-- more, or he is disabled.
CREATE FUNCTION accept_invitation(invitation uuid, new_user uuid, called text, hashed text) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    open invitations;
    guest users;
BEGIN
    UPDATE invitations SET accepted_at = now()
    WHERE id = invitation AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now()
        AND NOT EXISTS (SELECT FROM users b WHERE b.id = invited_by AND b.disabled_at IS NOT NULL) RETURNING * INTO open;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO guest FROM users WHERE address_key(email) = address_key(open.email) OR id = new_user
    ORDER BY address_key(email) = address_key(open.email) DESC LIMIT 1;
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

REVOKE EXECUTE ON FUNCTION credentials_of(text),
    open_invitation(bytea),
    authenticate(bytea),
    session_identity(uuid),
    hold_credentials_of(uuid),
    end_sessions_of(uuid, text, uuid),
    set_password(uuid, text, uuid),
    offer_reset(uuid, bytea, timestamptz, uuid),
    redeem_reset(bytea, text),
    invitations_for(text),
    accept_invitation(uuid, uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credentials_of(text),
    open_invitation(bytea),
    authenticate(bytea),
    session_identity(uuid),
    hold_credentials_of(uuid),
    end_sessions_of(uuid, text, uuid),
    set_password(uuid, text, uuid),
    offer_reset(uuid, bytea, timestamptz, uuid),
    redeem_reset(bytea, text),
    invitations_for(text),
    accept_invitation(uuid, uuid, text, text) TO arqueduct_app;
