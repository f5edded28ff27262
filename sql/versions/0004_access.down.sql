DROP FUNCTION link_external(text, text, uuid), user_of_external(text, text), create_service(uuid, text, text),
    accept_invitation(uuid, uuid, text, text), invitation_for(text), open_invitation(bytea), redeem_reset(bytea, text),
    offer_reset(uuid, bytea, timestamptz), set_password(uuid, text, uuid), end_sessions_of(uuid, text, uuid),
    renew_session(bytea, bytea, timestamptz), tenants_of(uuid), credentials_of_user(uuid), credentials_of(text),
    session_identity(uuid), authenticate(bytea);
CREATE FUNCTION authenticate(presented bytea)
RETURNS TABLE (key_id uuid, tenant_id uuid, user_id uuid, role text, scopes text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    UPDATE api_keys SET last_used_at = now()
    WHERE key_hash = presented AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
    RETURN QUERY
        SELECT k.id, k.tenant_id, k.user_id, m.role, k.scopes
        FROM api_keys k JOIN memberships m ON m.tenant_id = k.tenant_id AND m.user_id = k.user_id
        WHERE k.key_hash = presented AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now());
END
$$;
REVOKE EXECUTE ON FUNCTION authenticate(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION authenticate(bytea) TO arqueduct_app;
DROP TABLE kept_answers, audit_log, external_identities, password_resets, invitations, refresh_tokens, sessions;
REVOKE INSERT, DELETE, UPDATE (role) ON memberships FROM arqueduct_app;
REVOKE UPDATE (name) ON tenants FROM arqueduct_app;
REVOKE INSERT, UPDATE (name, revoked_at) ON api_keys FROM arqueduct_app;
DROP INDEX users_address_idx;
DROP INDEX memberships_user_id_idx;
DROP INDEX api_keys_tenant_id_id_idx;
ALTER TABLE api_keys DROP COLUMN requests_per_minute;
ALTER TABLE users DROP COLUMN disabled_at;
ALTER TABLE users DROP COLUMN name;
