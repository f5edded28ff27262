DROP FUNCTION credentials_of(text),
    open_invitation(bytea),
    authenticate(bytea),
    session_identity(uuid),
    hold_credentials_of(uuid),
    end_sessions_of(uuid, text, uuid),
    set_password(uuid, text, uuid),
    offer_reset(uuid, bytea, timestamptz, uuid),
    redeem_reset(bytea, text),
    invitations_for(text),
    accept_invitation(uuid, uuid, text, text);

-- Whom a password is to be compared with. Addresses are the same whatever their case.
CREATE FUNCTION credentials_of(address text) RETURNS TABLE (user_id uuid, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id, password_hash FROM users WHERE lower(email) = lower(address) AND disabled_at IS NULL
$$;

-- An invitation that is still open, and who has its address already.
CREATE FUNCTION open_invitation(presented bytea)
RETURNS TABLE (id uuid, tenant_id uuid, tenant text, email text, role text, user_id uuid, password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.id, i.tenant_id, t.name, i.email, i.role, u.id, u.password_hash
    FROM invitations i JOIN tenants t ON t.id = i.tenant_id LEFT JOIN users u ON lower(u.email) = lower(i.email)
    WHERE i.token_hash = presented AND i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now()
$$;

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

REVOKE EXECUTE ON FUNCTION credentials_of(text),
    open_invitation(bytea),
    authenticate(bytea),
    session_identity(uuid),
    end_sessions_of(uuid, text, uuid),
    set_password(uuid, text, uuid),
    offer_reset(uuid, bytea, timestamptz),
    redeem_reset(bytea, text),
    invitation_for(text),
    accept_invitation(uuid, uuid, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION credentials_of(text),
    open_invitation(bytea),
    authenticate(bytea),
    session_identity(uuid),
    end_sessions_of(uuid, text, uuid),
    set_password(uuid, text, uuid),
    offer_reset(uuid, bytea, timestamptz),
    redeem_reset(bytea, text),
    invitation_for(text),
    accept_invitation(uuid, uuid, text, text) TO arqueduct_app;

GRANT INSERT ON audit_log TO arqueduct_app;
DO $$
BEGIN
    IF pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE') THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database());
    END IF;
END
$$;
ALTER TABLE password_resets DROP COLUMN offered_as;
ALTER TABLE password_resets DROP COLUMN offered_by;
ALTER TABLE password_resets DROP COLUMN role;
ALTER TABLE password_resets DROP COLUMN tenant_id;
-- Fails where two addresses differ in letters that the older version takes for the same.
DROP INDEX users_address_idx;
CREATE UNIQUE INDEX users_address_idx ON users (lower(email));
DROP FUNCTION address_key(text);
