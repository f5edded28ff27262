-- A job that is due stands in its tenant's line: by priority, then by turn. Null: not due yet, or not queued.
ALTER TABLE jobs ADD COLUMN turn BIGINT;
ALTER TABLE jobs ADD CONSTRAINT priority CHECK (priority IN (-10, 0, 10));

CREATE INDEX jobs_line_idx ON jobs (tenant_id, kind, priority, turn, id)
    WHERE state = 'queued' AND dispatched_at IS NULL AND turn IS NOT NULL;
CREATE INDEX jobs_line_user_idx ON jobs (tenant_id, user_id, priority, turn)
    WHERE state = 'queued' AND dispatched_at IS NULL AND turn IS NOT NULL;
CREATE INDEX jobs_not_in_line_idx ON jobs (run_after, id) WHERE state = 'queued' AND turn IS NULL;
CREATE INDEX jobs_dispatched_idx ON jobs (dispatched_at) WHERE state = 'queued' AND dispatched_at IS NOT NULL;
CREATE INDEX jobs_paused_idx ON jobs (id) WHERE state = 'paused';
CREATE INDEX jobs_quarantined_idx ON jobs (id) WHERE state = 'failed' AND error ->> 'code' = 'worker_died';

CREATE TABLE job_attempts (
    job_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    tenant_id UUID NOT NULL,
    worker TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    outcome TEXT,
    stage TEXT,
    code TEXT,
    message TEXT,
    traceback TEXT,
    PRIMARY KEY (job_id, attempt),
    CONSTRAINT ended CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE,
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

-- What an administrator says about the queue. ('all', '*') is everything, ('tenant', '*') holds for every tenant
-- without a rule of its own; its `max_running` also for one whose own rule names none.
CREATE TABLE queue_rules (
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    is_paused BOOLEAN DEFAULT false NOT NULL,
    max_running INTEGER,
    weight REAL DEFAULT '1' NOT NULL,
    PRIMARY KEY (scope, name),
    CONSTRAINT scope CHECK (scope IN ('all', 'tenant', 'kind')),
    CONSTRAINT max_running CHECK (max_running > 0),
    CONSTRAINT weight CHECK (weight > 0)
);

-- What tenants have had lately, each job divided by the weight of its tenant; only differences mean something. Every
-- tenant that waits has a row, and one that waits no more while it has had more than those that do.
CREATE TABLE fair_shares (
    tenant_id UUID NOT NULL,
    pass DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (tenant_id),
    FOREIGN KEY(tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);

ALTER TABLE job_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE fair_shares ENABLE ROW LEVEL SECURITY;  -- for `admit` alone, which runs as the owner
CREATE POLICY own_tenant ON job_attempts TO arqueduct_app USING (tenant_id = (SELECT current_tenant()));
CREATE POLICY all_tenants ON job_attempts TO arqueduct_worker USING (true);
GRANT SELECT, UPDATE ON job_attempts TO arqueduct_app;
GRANT SELECT, INSERT, UPDATE ON job_attempts TO arqueduct_worker;

-- The line: jobs that are due and that Redis has not been told of.
CREATE VIEW jobs_in_line WITH (security_invoker) AS
    SELECT id, tenant_id, user_id, kind, priority, turn FROM jobs
    WHERE state = 'queued' AND dispatched_at IS NULL AND turn IS NOT NULL;
GRANT SELECT ON jobs_in_line TO arqueduct_app, arqueduct_worker;

-- The functions below read a few rows of a large table, and their plans may be older than its contents. So each
-- query on it names by its ORDER BY the one index that is right, and whatever else could be done is switched off.

-- Kinds of which a tenant's jobs wait. The line is asked once a kind, not once a job.
CREATE FUNCTION kinds_in_line(tenant uuid) RETURNS TABLE (kind text)
LANGUAGE sql STABLE SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    WITH RECURSIVE line AS (
        (SELECT j.kind FROM jobs_in_line j WHERE j.tenant_id = tenant ORDER BY j.kind LIMIT 1)
        UNION ALL
        SELECT (
            SELECT j.kind FROM jobs_in_line j WHERE j.tenant_id = tenant AND j.kind > l.kind ORDER BY j.kind LIMIT 1
        ) FROM line l WHERE l.kind IS NOT NULL
    )
    SELECT l.kind FROM line l WHERE l.kind IS NOT NULL
$$;

-- Puts jobs that are due, and that this transaction has made or locked, into their tenant's line. A user's jobs follow
-- each other; who comes new begins where the line is now, so the users of a tenant take turns (start-time fair
-- queueing). A job that comes back, from an error or a dead worker, had its turn: it does not stand behind what its
-- user has queued since, but beside it. (Without a nested loop: as many rows as there are ids were one to the planner.)
CREATE FUNCTION line_up(ids uuid[], comes_back boolean DEFAULT false) RETURNS void LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_nestloop = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    WITH due AS MATERIALIZED (
        SELECT id, tenant_id, user_id, priority FROM jobs
        WHERE id = ANY (ids) AND state = 'queued' AND turn IS NULL AND run_after <= clock_timestamp() ORDER BY id
    ), flows AS MATERIALIZED (
        SELECT f.tenant_id, f.user_id, f.priority, greatest(
            (SELECT turn FROM jobs_in_line w
                WHERE NOT comes_back AND w.tenant_id = f.tenant_id AND w.user_id = f.user_id
                    AND w.priority = f.priority
                ORDER BY turn DESC LIMIT 1),
            (SELECT min(head.turn) - 1 FROM kinds_in_line(f.tenant_id) k, LATERAL (
                SELECT turn FROM jobs_in_line w
                WHERE w.tenant_id = f.tenant_id AND w.kind = k.kind AND w.priority = f.priority
                ORDER BY turn LIMIT 1
            ) head),
            0
        ) AS last
        FROM (SELECT DISTINCT tenant_id, user_id, priority FROM due) f
    ), places AS (
        SELECT d.id, f.last + row_number() OVER (PARTITION BY tenant_id, user_id, priority ORDER BY d.id) AS turn
        FROM due d JOIN flows f USING (tenant_id, user_id, priority)
    )
    UPDATE jobs j SET turn = p.turn FROM places p WHERE j.id = p.id AND j.id = ANY (ids);
END
$$;

-- What workers have, or will have from the run-way: by tenant and kind.
CREATE FUNCTION in_flight() RETURNS TABLE (tenant_id uuid, kind text, jobs bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    SELECT f.tenant_id, f.kind, count(*) FROM (
        (SELECT tenant_id, kind FROM jobs WHERE state = 'running' ORDER BY lease_until)
        UNION ALL
        (SELECT tenant_id, kind FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL ORDER BY dispatched_at)
    ) f GROUP BY f.tenant_id, f.kind
$$;

-- Kinds of which nothing more may begin now, and why.
CREATE FUNCTION held_kinds() RETURNS TABLE (kind text, is_paused boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.name, r.is_paused FROM queue_rules r
    WHERE r.scope = 'kind'
        AND (r.is_paused OR r.max_running <= (SELECT sum(f.jobs) FROM in_flight() f WHERE f.kind = r.name))
$$;

-- Tenants that wait, and how many more jobs of each may begin. The line is asked once a tenant, not once a job.
CREATE FUNCTION tenants_in_line()
RETURNS TABLE (tenant_id uuid, weight real, in_flight bigint, is_paused boolean, room bigint)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    WITH RECURSIVE line AS (
        (SELECT j.tenant_id FROM jobs_in_line j ORDER BY j.tenant_id, j.kind LIMIT 1)
        UNION ALL
        SELECT (
            SELECT j.tenant_id FROM jobs_in_line j WHERE j.tenant_id > l.tenant_id ORDER BY j.tenant_id, j.kind LIMIT 1
        ) FROM line l WHERE l.tenant_id IS NOT NULL
    ), busy AS (
        SELECT f.tenant_id, sum(f.jobs)::bigint AS jobs FROM in_flight() f GROUP BY f.tenant_id
    )
    SELECT l.tenant_id, coalesce(own.weight, every.weight, 1), coalesce(b.jobs, 0),
        coalesce(own.is_paused, every.is_paused, false),
        greatest(coalesce(own.max_running, every.max_running, 2147483647) - coalesce(b.jobs, 0), 0)
    FROM line l
    LEFT JOIN busy b USING (tenant_id)
    LEFT JOIN queue_rules own ON own.scope = 'tenant' AND own.name = l.tenant_id::text
    LEFT JOIN queue_rules every ON every.scope = 'tenant' AND every.name = '*'
    WHERE l.tenant_id IS NOT NULL
$$;

-- Takes the next jobs out of the lines, as many as the run-way in Redis has room for: as many as live workers run at
-- a time, and at least `least_room`. Tenants take turns by their weight: what one has had is in `fair_shares`, and the
-- one that has had least goes next (start-time fair queueing, Goyal et al. 1996). Within a tenant priority decides,
-- then the turn. The first job of a tenant of which nothing is under way may go ahead of those that wait in Redis
-- already. Call it as a statement of its own, so that its lock never waits for a client. Its commit does not wait for
-- the disk: a crash of Postgres at that moment leaves the jobs in the line, and what was sent of them is claimed once.
CREATE FUNCTION admit(
    least_room integer, alive interval,
    OUT job_ids uuid[], OUT dispatches integer[], OUT are_ahead boolean[],
    OUT next_due_seconds double precision
) LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    moment timestamptz;
    due uuid[];
    free bigint;
    waiting uuid[];
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_advisory_xact_lock(1634891124);
    moment := clock_timestamp();
    due := ARRAY(
        SELECT id FROM jobs WHERE state = 'queued' AND turn IS NULL AND run_after <= moment
        ORDER BY run_after, id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED
    );
    IF cardinality(due) > 0 THEN
        PERFORM line_up(due, true);
    END IF;
    SELECT extract(epoch FROM run_after - moment) INTO next_due_seconds
    FROM jobs WHERE state = 'queued' AND turn IS NULL ORDER BY run_after, id LIMIT 1;
    PERFORM FROM jobs_in_line ORDER BY tenant_id, kind LIMIT 1;
    IF NOT FOUND THEN
        DELETE FROM fair_shares;
        RETURN;
    END IF;
    free := greatest(least_room, (SELECT sum(concurrency) FROM workers WHERE beat_at > now() - alive))
        - (SELECT count(*) FROM (
            SELECT FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL ORDER BY dispatched_at
        ) run_way);
    IF free <= 0 OR EXISTS (SELECT FROM queue_rules WHERE scope = 'all' AND is_paused) THEN
        RETURN;
    END IF;
    WITH rooms AS MATERIALIZED (
        SELECT r.name AS kind, CASE WHEN r.is_paused THEN 0 ELSE r.max_running
            - coalesce((SELECT sum(f.jobs) FROM in_flight() f WHERE f.kind = r.name), 0)::bigint END AS room
        FROM queue_rules r WHERE r.scope = 'kind' AND (r.is_paused OR r.max_running IS NOT NULL)
    ), able AS MATERIALIZED (
        SELECT t.tenant_id, t.weight, t.in_flight, t.room, open.kinds,
            s.pass IS NULL AS is_new, coalesce(s.pass, (SELECT min(pass) FROM fair_shares), 0) AS pass
        FROM tenants_in_line() t LEFT JOIN fair_shares s USING (tenant_id), LATERAL (
            SELECT array_agg(k.kind) AS kinds FROM kinds_in_line(t.tenant_id) k LEFT JOIN rooms USING (kind)
            WHERE rooms.room IS NULL OR rooms.room > 0
        ) open
        WHERE NOT t.is_paused AND t.room > 0 AND open.kinds IS NOT NULL
    ), first_of_each AS (
        SELECT a.*, j.id, j.priority, j.turn, k.kind, rooms.room AS room_of_kind
        FROM (SELECT * FROM able ORDER BY pass, tenant_id LIMIT free) a
        CROSS JOIN LATERAL unnest(a.kinds) k(kind) LEFT JOIN rooms USING (kind) CROSS JOIN LATERAL (
            SELECT id, priority, turn FROM jobs_in_line w WHERE w.tenant_id = a.tenant_id AND w.kind = k.kind
            ORDER BY priority, turn, id LIMIT least(free, a.room, rooms.room)
        ) j
    ), in_turn AS (
        SELECT *, row_number() OVER (PARTITION BY tenant_id ORDER BY priority, turn, id) AS nth FROM first_of_each
    ), within_kinds AS (
        SELECT *, row_number() OVER (PARTITION BY kind ORDER BY pass + (nth - 1) / weight, tenant_id) AS nth_of_kind
        FROM in_turn
    ), numbered AS (  -- anew: what a kind has no room for is not counted against the tenant
        SELECT tenant_id, weight, in_flight, room, pass, id,
            row_number() OVER (PARTITION BY tenant_id ORDER BY priority, turn, id) AS nth
        FROM within_kinds WHERE room_of_kind IS NULL OR nth_of_kind <= room_of_kind
    ), chosen AS MATERIALIZED (
        SELECT *, row_number() OVER (ORDER BY pass + (nth - 1) / weight, tenant_id) AS place
        FROM numbered WHERE nth <= room ORDER BY place LIMIT free
    ), ours AS MATERIALIZED (
        SELECT id FROM jobs WHERE id = ANY (ARRAY(SELECT id FROM chosen)) AND state = 'queued' AND dispatched_at IS NULL
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), sent AS (
        UPDATE jobs j SET dispatched_at = clock_timestamp() WHERE j.id = ANY (ARRAY(SELECT id FROM ours))
        RETURNING j.id, j.tenant_id, j.dispatch
    ), charged AS (
        INSERT INTO fair_shares AS s SELECT a.tenant_id, a.pass + coalesce(n.jobs, 0) / a.weight
        FROM able a LEFT JOIN (SELECT tenant_id, count(*) AS jobs FROM sent GROUP BY tenant_id) n USING (tenant_id)
        WHERE a.is_new OR n.jobs > 0
        ON CONFLICT (tenant_id) DO UPDATE SET pass = excluded.pass
    )
    SELECT array_agg(s.id ORDER BY c.place), array_agg(s.dispatch ORDER BY c.place),
        array_agg(c.in_flight = 0 AND c.nth = 1 ORDER BY c.place), (SELECT array_agg(tenant_id) FROM able)
    INTO job_ids, dispatches, are_ahead, waiting
    FROM sent s JOIN chosen c USING (id);
    -- Who waits no more, or may not begin more, comes back at the pace of the others: without a credit, and with its
    -- debt if it has had more than they.
    DELETE FROM fair_shares
    WHERE tenant_id <> ALL (waiting) AND pass <= (SELECT min(pass) FROM fair_shares WHERE tenant_id = ANY (waiting));
END
$$;

-- Takes back what Redis did not get: it stands in the line again where it stood. What was sent all the same is stale.
CREATE FUNCTION unadmit(ids uuid[], numbers integer[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH unsent AS (
        SELECT j.id FROM jobs j JOIN unnest(ids, numbers) AS u(id, dispatch) USING (id, dispatch)
        WHERE j.state = 'queued' ORDER BY j.id FOR NO KEY UPDATE OF j
    )
    UPDATE jobs j SET dispatch = j.dispatch + 1, dispatched_at = NULL FROM unsent u WHERE j.id = u.id
$$;

-- What decides when a job of this tenant runs.
CREATE FUNCTION queue_of_tenant(alive interval, OUT live_workers bigint, OUT is_paused boolean, OUT in_flight bigint,
    OUT max_running integer, OUT paused_kinds text[], OUT full_kinds text[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH rules AS (
        SELECT coalesce(own.is_paused, every.is_paused, false) AS is_paused,
            coalesce(own.max_running, every.max_running) AS max_running
        FROM (SELECT 1) one
        LEFT JOIN queue_rules own ON own.scope = 'tenant' AND own.name = current_tenant()::text
        LEFT JOIN queue_rules every ON every.scope = 'tenant' AND every.name = '*'
    )
    SELECT (SELECT count(*) FROM workers WHERE beat_at > now() - alive),
        r.is_paused OR EXISTS (SELECT FROM queue_rules q WHERE q.scope = 'all' AND q.is_paused),
        (SELECT coalesce(sum(f.jobs), 0)::bigint FROM in_flight() f WHERE f.tenant_id = current_tenant()),
        r.max_running,
        ARRAY(SELECT kind FROM held_kinds() h WHERE h.is_paused),
        ARRAY(SELECT kind FROM held_kinds() h WHERE NOT h.is_paused)
    FROM rules r
$$;

-- How many jobs leave the line before this one if nothing changes: those of its own tenant before it, and as many of
-- each other waiting tenant as come to the same share. 0: it is the next. It counts to 10,000 and no further. Null: not
-- this tenant's, or not in line.
CREATE FUNCTION position_in_line(job uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
    WITH me AS MATERIALIZED (
        SELECT tenant_id, priority, turn, id FROM jobs_in_line WHERE id = job AND tenant_id = current_tenant()
    ), lines AS MATERIALIZED (
        SELECT t.tenant_id, t.weight, k.kind, coalesce(s.pass, (SELECT min(pass) FROM fair_shares), 0) AS pass,
            t.is_paused OR t.room = 0 OR k.kind IN (SELECT h.kind FROM held_kinds() h) AS is_held
        FROM tenants_in_line() t LEFT JOIN fair_shares s USING (tenant_id), LATERAL kinds_in_line(t.tenant_id) k
    ), mine AS MATERIALIZED (
        SELECT me.tenant_id, min(l.weight) AS weight, min(l.pass) AS pass, coalesce(sum(j.before), 0)::bigint AS before
        FROM me JOIN lines l USING (tenant_id), LATERAL (
            SELECT count(*) AS before FROM (
                SELECT FROM jobs_in_line w
                WHERE w.tenant_id = me.tenant_id AND w.kind = l.kind
                    AND (w.priority, w.turn, w.id) < (me.priority, me.turn, me.id)
                    AND l.kind NOT IN (SELECT h.kind FROM held_kinds() h)
                ORDER BY w.priority, w.turn, w.id LIMIT 10000
            ) first
        ) j GROUP BY me.tenant_id
    ), others AS MATERIALIZED (
        SELECT l.tenant_id, array_agg(l.kind) AS kinds,
            least(floor((m.pass + m.before / m.weight - min(l.pass)) * min(l.weight))::bigint + 1, 10000) AS most
        FROM lines l, mine m WHERE l.tenant_id <> m.tenant_id AND NOT l.is_held
        GROUP BY l.tenant_id, m.pass, m.before, m.weight
    )
    SELECT least(10000, m.before + (
        SELECT count(*) FROM others o, LATERAL (
            SELECT FROM unnest(o.kinds) k(kind), LATERAL (
                SELECT FROM jobs_in_line w WHERE w.tenant_id = o.tenant_id AND w.kind = k.kind
                ORDER BY w.priority LIMIT greatest(o.most, 0)
            ) of_kind LIMIT greatest(o.most, 0)
        ) theirs
    ))
    FROM mine m
$$;

-- Over all tenants, for `/readyz` and Prometheus.
CREATE FUNCTION queue_health(alive interval, OUT queued bigint, OUT running bigint, OUT paused bigint,
    OUT retrying bigint, OUT oldest_queued_seconds double precision, OUT live_workers bigint,
    OUT lapsed_leases bigint, OUT quarantined bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*), (SELECT count(*) FROM jobs WHERE state = 'running'),
        (SELECT count(*) FROM jobs WHERE state = 'paused'),
        count(*) FILTER (WHERE failures > 0),
        coalesce(extract(epoch FROM now() - min(run_after) FILTER (WHERE run_after <= now())), 0)::float8,
        (SELECT count(*) FROM workers WHERE beat_at > now() - alive),
        (SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until < now()),
        (SELECT count(*) FROM jobs WHERE state = 'failed' AND error ->> 'code' = 'worker_died')
    FROM jobs WHERE state = 'queued'
$$;

REVOKE EXECUTE ON FUNCTION kinds_in_line(uuid), line_up(uuid[], boolean), in_flight(), held_kinds(), tenants_in_line(),
    admit(integer, interval), unadmit(uuid[], integer[]), queue_of_tenant(interval), position_in_line(uuid),
    queue_health(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kinds_in_line(uuid), line_up(uuid[], boolean), admit(integer, interval), unadmit(uuid[], integer[]),
    queue_of_tenant(interval), queue_health(interval) TO arqueduct_app, arqueduct_worker;
GRANT EXECUTE ON FUNCTION position_in_line(uuid) TO arqueduct_app;
