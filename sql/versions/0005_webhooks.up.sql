-- Where a tenant wants to be told what happens. Secrets are sealed with the keys of the installation. While the
-- receiver fails, `failures` counts its last ones in a row, and until `resting_until` it is left alone.
CREATE TABLE webhook_endpoints (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    url TEXT NOT NULL,
    description TEXT,
    events TEXT[] NOT NULL,
    is_enabled BOOLEAN DEFAULT true NOT NULL,
    disabled_why TEXT,
    secret BYTEA NOT NULL,
    previous_secret BYTEA,
    previous_until TIMESTAMP WITH TIME ZONE,
    failures INTEGER DEFAULT '0' NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    resting_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT previous CHECK ((previous_secret IS NULL) = (previous_until IS NULL)),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX webhook_endpoints_tenant_id_id_idx ON webhook_endpoints (tenant_id, id);

-- The outbox: one event for one endpoint, written in the transaction of what happened, with the job that delivers it.
-- Its state follows that job.
CREATE TABLE webhook_deliveries (
    id UUID NOT NULL,
    tenant_id UUID NOT NULL,
    endpoint_id UUID NOT NULL,
    event_id UUID NOT NULL,
    type TEXT NOT NULL,
    happened_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    data JSONB NOT NULL,
    job_id UUID NOT NULL,
    state TEXT DEFAULT 'pending' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    last_status INTEGER,
    last_error TEXT,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT webhook_deliveries_endpoint_id_event_id_key UNIQUE (endpoint_id, event_id),
    CONSTRAINT state CHECK (state IN ('pending', 'delivered', 'failed', 'cancelled')),
    CONSTRAINT ended CHECK ((ended_at IS NULL) = (state = 'pending')),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE,
    FOREIGN KEY(endpoint_id) REFERENCES webhook_endpoints (id) ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_endpoint_id_id_idx ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_pending_idx ON webhook_deliveries (endpoint_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_job_id_idx ON webhook_deliveries (job_id);
CREATE INDEX webhook_deliveries_ended_at_idx ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;

-- Each time something was sent, or was to be: when, and what came back.
CREATE TABLE webhook_attempts (
    delivery_id UUID NOT NULL,
    number INTEGER NOT NULL,
    tenant_id UUID NOT NULL,
    job_id UUID NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    took_ms INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    answer TEXT,
    PRIMARY KEY (delivery_id, number),
    FOREIGN KEY(delivery_id) REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

ALTER TABLE webhook_endpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhook_attempts ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON webhook_endpoints TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON webhook_deliveries TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY own_tenant ON webhook_attempts TO arqueduct_app, arqueduct_worker
    USING (tenant_id = (SELECT current_tenant()));

GRANT SELECT, INSERT, DELETE, UPDATE (url, description, events, is_enabled, disabled_why, secret, previous_secret,
    previous_until, failures, failing_since, resting_until, updated_at) ON webhook_endpoints TO arqueduct_app;
GRANT SELECT, INSERT, UPDATE (state, ended_at, job_id) ON webhook_deliveries TO arqueduct_app;
GRANT SELECT ON webhook_attempts TO arqueduct_app;
GRANT SELECT, UPDATE (is_enabled, disabled_why, failures, failing_since, resting_until, updated_at)
    ON webhook_endpoints TO arqueduct_worker;
GRANT SELECT, UPDATE (attempts, last_status, last_error) ON webhook_deliveries TO arqueduct_worker;
GRANT SELECT, INSERT ON webhook_attempts TO arqueduct_worker;

-- A UUIDv7 (RFC 9562), as `arqueduct.ids` makes them: milliseconds since 1970, then chance.
CREATE FUNCTION time_ordered_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6
    ), 52, 1), 53, 1), 'hex')::uuid
$$;

-- The job that delivers. It comes due at once, and an admitter puts it beside the head of its tenant's line, not
-- behind all that its user has queued: of a thousand documents the first one is told before the last one is read.
-- 11: once, and again after each pause of `arqueduct_worker.pipelines.webhook`.
CREATE FUNCTION queue_webhook(tenant uuid, by_user uuid, delivery uuid) RETURNS uuid
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
DECLARE
    job uuid := time_ordered_id();
BEGIN
    INSERT INTO jobs (id, tenant_id, user_id, kind, payload, max_failures)
    VALUES (job, tenant, by_user, 'webhook.deliver', jsonb_build_object('delivery_id', delivery), 11);
    INSERT INTO job_events (job_id, seq, tenant_id, type, state, stage, progress, attempt)
    VALUES (job, 1, tenant, 'job_queued', 'queued', 'queued', 0, 0);
    RETURN job;
END
$$;

-- Writes an event down for every endpoint that wants it. One that somebody deletes at this moment is waited for, so
-- that the transaction of what happened does not fail for it.
CREATE FUNCTION tell_webhooks(tenant uuid, by_user uuid, what text, about jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = public, pg_temp AS $$
DECLARE
    endpoint uuid;
    event uuid;
    delivery uuid;
    moment timestamptz := clock_timestamp();
BEGIN
    FOR endpoint IN
        SELECT id FROM webhook_endpoints WHERE tenant_id = tenant AND is_enabled AND events && ARRAY[what, '*']
        ORDER BY id FOR KEY SHARE
    LOOP
        event := coalesce(event, time_ordered_id());
        delivery := time_ordered_id();
        INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, event_id, type, happened_at, data, job_id)
        VALUES (delivery, tenant, endpoint, event, what, moment, about, queue_webhook(tenant, by_user, delivery));
    END LOOP;
END
$$;

-- Ids, kinds, states and codes: never what is in a document, nor what it is called.
CREATE FUNCTION tell_of_job() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM tell_webhooks(NEW.tenant_id, NEW.user_id, 'job.' || NEW.state, jsonb_build_object(
        'job_id', NEW.id, 'kind', NEW.kind, 'state', NEW.state, 'document_id', NEW.document_id, 'attempt', NEW.fence,
        'error', CASE WHEN NEW.state = 'failed' THEN jsonb_build_object(
            'code', NEW.error -> 'code', 'stage', NEW.error -> 'stage', 'retryable', NEW.error -> 'retryable'
        ) END
    ));
    RETURN NULL;
END
$$;

CREATE FUNCTION tell_of_document() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM tell_webhooks(NEW.tenant_id, NEW.user_id, TG_ARGV[0], jsonb_build_object(
        'document_id', NEW.id, 'job_id', NEW.job_id, 'content_type', NEW.content_type, 'size', NEW.size
    ));
    RETURN NULL;
END
$$;

CREATE FUNCTION follow_webhook_job() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE webhook_deliveries SET ended_at = NEW.finished_at, state = CASE NEW.state
        WHEN 'completed' THEN 'delivered' WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'cancelled' ELSE 'pending'
    END
    WHERE job_id = NEW.id;
    RETURN NULL;
END
$$;

CREATE TRIGGER tell_of_end AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN (NEW.state IN ('completed', 'failed', 'cancelled') AND OLD.state <> NEW.state
        AND NEW.kind NOT LIKE 'webhook.%')
    EXECUTE FUNCTION tell_of_job();
CREATE TRIGGER follow_delivery AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN (NEW.kind = 'webhook.deliver' AND (OLD.finished_at IS NULL) <> (NEW.finished_at IS NULL))
    EXECUTE FUNCTION follow_webhook_job();
CREATE TRIGGER tell_of_creation AFTER INSERT ON documents FOR EACH ROW
    EXECUTE FUNCTION tell_of_document('document.created');
CREATE TRIGGER tell_of_deletion AFTER UPDATE OF deleted_at ON documents FOR EACH ROW
    WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL)
    EXECUTE FUNCTION tell_of_document('document.deleted');

-- Deletes the next `most` deliveries that ended longer than `older` ago. Returns how many: fewer than `most` means
-- that there are no more.
CREATE FUNCTION prune_deliveries(older interval, most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET enable_seqscan = off AS $$
DECLARE
    gone integer;
BEGIN
    DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(
        SELECT id FROM webhook_deliveries WHERE ended_at < now() - older ORDER BY ended_at LIMIT most
        FOR UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

REVOKE EXECUTE ON FUNCTION queue_webhook(uuid, uuid, uuid), tell_webhooks(uuid, uuid, text, jsonb), tell_of_job(),
    tell_of_document(), follow_webhook_job(), prune_deliveries(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION queue_webhook(uuid, uuid, uuid) TO arqueduct_app;
GRANT EXECUTE ON FUNCTION prune_deliveries(interval, integer) TO arqueduct_worker;
