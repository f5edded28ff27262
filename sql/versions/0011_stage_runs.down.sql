CREATE OR REPLACE FUNCTION expected_work(kind text, content_type text, size bigint) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(1, least(2147483647, 200 + size / 2048))::integer
$$;
DROP FUNCTION queue_pace(interval, uuid);
DROP FUNCTION prune_stage_run_sums(text[], interval, integer);
DROP FUNCTION prune_stage_runs(interval, integer);
DROP FUNCTION note_stage_runs(json);
DROP FUNCTION duration_bucket(double precision);
DROP FUNCTION size_class(bigint);
ALTER TABLE jobs DROP COLUMN eta_range;
DROP TABLE stage_rates;
DROP TABLE stage_run_sums;
DROP TABLE stage_runs;
