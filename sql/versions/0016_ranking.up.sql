-- BM25 (Robertson and Zaragoza 2009) over the words that the index has anyway, in two phases: rare words and
-- conjunctions of common ones select some thousand passages by the index; the best hundreds of these are scored exactly.
-- docs/decisions/0018 says why, and what the numbers below cost and bring.

-- With the tenant in the index a word costs what the tenant has of it, not what all have.
CREATE EXTENSION IF NOT EXISTS btree_gin;
DROP INDEX chunks_tsv_idx;
CREATE INDEX chunks_tenant_id_tsv_idx ON chunks USING gin (tenant_id, tsv);

CREATE FUNCTION as_word(lexeme text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery;

-- Null without words, which nothing matches.
CREATE FUNCTION any_of(lexemes text[]) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT string_agg(as_word(lexeme)::text, ' | ')::tsquery FROM unnest(lexemes) lexeme);

-- A dash with a space behind it is one in a sentence: "the G - quadruplex" excludes nothing.
CREATE FUNCTION as_question(language regconfig, query text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN websearch_to_tsquery(language, regexp_replace(query, '-+(\s|$)', '\1', 'g'));

CREATE FUNCTION word_weight(passages float8, holders float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ln(1 + (greatest(passages - holders, 0) + 0.5) / (holders + 0.5));

-- From a sample of 1,000 passages, of the tenant alone: how many it has, how many different words a passage has, and
-- how many passages have each word. text_hash is SHA-256, so the first of its order are a sample without any order,
-- and how far they reach says how many there are in all (exactly, below 1,000).
CREATE FUNCTION word_statistics(
    tenant uuid, words text[], OUT passages float8, OUT usual_length float8, OUT holders float8[]
) LANGUAGE sql STABLE AS $$
    WITH sample AS MATERIALIZED (
        -- Joined to nothing, so that it is decompressed once and not for every word.
        SELECT text_hash, ''::tsvector || tsv AS tsv FROM chunks WHERE tenant_id = tenant ORDER BY text_hash LIMIT 1000
    ), reach AS (
        SELECT count(*)::float8 AS taken, avg(length(tsv))::float8 AS usual_length,
            ('x' || encode(substring((array_agg(text_hash ORDER BY text_hash DESC))[1] FROM 1 FOR 6), 'hex'))::bit(48)::bigint
                / 2.0 ^ 48 AS share
        FROM sample
    ), size AS MATERIALIZED (
        SELECT taken, usual_length,
            CASE WHEN taken < 1000 THEN taken ELSE greatest(taken, taken / greatest(share, 1e-9)) END AS passages
        FROM reach
    ), asked AS MATERIALIZED (
        SELECT place, as_word(word) AS need FROM unnest(words) WITH ORDINALITY w(word, place)
    ), seen AS (
        SELECT a.place, count(s.tsv) AS times FROM asked a LEFT JOIN sample s ON s.tsv @@ a.need GROUP BY a.place
    )
    SELECT z.passages, greatest(z.usual_length, 1), ARRAY(
        SELECT CASE WHEN z.passages = z.taken THEN times ELSE z.passages * (times + 0.5) / (z.taken + 1) END
        FROM seen ORDER BY place
    )
    FROM size z
$$;

-- Passages that can be found, in no order.
CREATE FUNCTION passages_with(tenant uuid, need tsquery, only_documents uuid[], most integer) RETURNS SETOF uuid
LANGUAGE sql STABLE AS $$
    SELECT c.id FROM chunks c
    JOIN documents d ON d.id = c.document_id AND d.deleted_at IS NULL AND d.archived_at IS NULL
    WHERE c.tenant_id = tenant AND c.tsv @@ need AND (only_documents IS NULL OR c.document_id = ANY (only_documents))
    LIMIT most
$$;

-- Of these passages those that have the weightiest words, however often. And how many passages have each word: of the
-- first `counted` words every holder is among these passages, so there it is known.
CREATE FUNCTION weightiest(
    ids uuid[], words text[], counted integer, passages float8, most integer, INOUT holders float8[], OUT best uuid[]
) LANGUAGE sql STABLE AS $$
    WITH candidates AS MATERIALIZED (
        SELECT id, ''::tsvector || tsv AS tsv FROM chunks WHERE id = ANY (ids)
    ), asked AS MATERIALIZED (
        SELECT place, guess, as_word(word) AS need FROM unnest(words, holders) WITH ORDINALITY w(word, guess, place)
    ), held AS MATERIALIZED (
        SELECT c.id, a.place FROM candidates c JOIN asked a ON c.tsv @@ a.need
    ), known AS MATERIALIZED (
        SELECT a.place, CASE WHEN a.place <= counted THEN count(h.id) ELSE a.guess END AS holders
        FROM asked a LEFT JOIN held h ON h.place = a.place GROUP BY a.place, a.guess
    ), best AS (
        SELECT h.id FROM held h JOIN known k ON k.place = h.place
        GROUP BY h.id ORDER BY sum(word_weight(passages, k.holders)) DESC, h.id LIMIT most
    )
    SELECT ARRAY(SELECT k.holders FROM known k ORDER BY k.place), ARRAY(SELECT id FROM best)
$$;

-- Passages with several of these words, the rarest of which is the first; with all of them, else with one less …
CREATE FUNCTION passages_with_common(
    tenant uuid, words text[], holders float8[], only_documents uuid[], passages float8, wanted integer
) RETURNS uuid[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    found uuid[] := '{}';
    expected float8 := passages;
    longest integer := 0;
    need tsquery;
BEGIN
    -- Words keep company, so there are more than chance would have: one word more than that is tried first.
    WHILE longest < cardinality(words) AND expected >= wanted LOOP
        longest := longest + 1;
        expected := expected * holders[longest] / passages;
    END LOOP;
    FOR length IN REVERSE longest..1 LOOP
        SELECT string_agg(as_word(word)::text, ' & ')::tsquery INTO need FROM unnest(words[:length]) word;
        found := found || ARRAY(SELECT passages_with(tenant, need, only_documents, greatest(wanted, 500)));
        EXIT WHEN cardinality(found) >= wanted;
    END LOOP;
    RETURN found;
END
$$;

-- k1 = 1.2 and b = 0.75, as everywhere; the length of a passage is the number of its different words.
CREATE FUNCTION bm25(ids uuid[], words text[], weights float8[], usual_length float8)
RETURNS TABLE (chunk_id uuid, rank real) LANGUAGE sql STABLE AS $$
    SELECT c.id, coalesce((
        SELECT sum(
            w.weight * 2.2 * cardinality(l.positions)
                / (cardinality(l.positions) + 1.2 * (0.25 + 0.75 * length(c.tsv) / usual_length))
        )
        FROM unnest(c.tsv) l JOIN unnest(words, bm25.weights) w(word, weight) ON w.word = l.lexeme
    ), 0)::real
    FROM chunks c WHERE c.id = ANY (ids)
$$;

-- `@@` is not leakproof, so under row-level security the planner may not use the index for it. This function runs as
-- the owner and applies the tenant itself; those above run inside it alone, and take the tenant from it.
-- Words need not all be there, so that a question in whole sentences finds passages that answer a part of it. Who
-- quotes a phrase or excludes a word (-word) means what he writes: every word, in that case.
CREATE OR REPLACE FUNCTION search_text(language regconfig, query text, most integer, only_documents uuid[])
RETURNS TABLE (chunk_id uuid, rank real)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE
    mine CONSTANT uuid := current_tenant();
    asked CONSTANT tsquery := as_question(language, query);
    visited CONSTANT float8 := 2000;
    most_visited CONSTANT integer := 3000;  -- estimates may be too low
    wanted CONSTANT integer := greatest(most, 200);
    -- The first 256, which bounds what a page of text costs.
    words text[] := ARRAY(SELECT lexeme FROM unnest(to_tsvector(language, query)) ORDER BY positions[1] LIMIT 256);
    holders float8[];
    passages float8;
    usual_length float8;
    rare integer;
    counted integer;
    found uuid[];
BEGIN
    IF numnode(asked) = 0 OR mine IS NULL THEN
        RETURN;
    END IF;
    SELECT s.passages, s.usual_length, s.holders INTO passages, usual_length, holders
    FROM word_statistics(mine, words) s;
    IF passages = 0 THEN
        RETURN;
    END IF;
    -- The rarest first; what nobody has is left out.
    SELECT coalesce(array_agg(w.word ORDER BY w.held, w.word), '{}'), coalesce(array_agg(w.held ORDER BY w.held, w.word), '{}')
    INTO words, holders
    FROM unnest(words, holders) w(word, held) WHERE w.held > 0;
    IF strpos(query, '"') > 0 OR strpos(asked::text, '!') > 0 THEN
        found := ARRAY(SELECT passages_with(mine, asked, only_documents, 2000));
    ELSE
        SELECT count(*) FILTER (WHERE h.so_far <= visited) INTO rare
        FROM (SELECT sum(held) OVER (ORDER BY place) AS so_far FROM unnest(holders) WITH ORDINALITY u(held, place)) h;
        found := ARRAY(SELECT passages_with(mine, any_of(words[:rare]), only_documents, most_visited));
        counted := CASE WHEN only_documents IS NULL AND cardinality(found) < most_visited THEN rare ELSE 0 END;
        found := found || passages_with_common(
            mine, words[rare + 1:], holders[rare + 1:], only_documents, passages, wanted
        );
        IF cardinality(found) < wanted THEN
            found := found || ARRAY(SELECT passages_with(mine, any_of(words), only_documents, greatest(wanted, 500)));
        END IF;
        SELECT n.holders, n.best INTO holders, found
        FROM weightiest(found, words, counted, passages, greatest(most, 300), holders) n;
    END IF;
    RETURN QUERY
        SELECT b.chunk_id, b.rank
        FROM bm25(found, words, ARRAY(
            SELECT word_weight(passages, h.held) FROM unnest(holders) WITH ORDINALITY h(held, place) ORDER BY h.place
        ), usual_length) b
        ORDER BY b.rank DESC, b.chunk_id LIMIT most;
END
$$;

REVOKE EXECUTE ON FUNCTION as_word(text), as_question(regconfig, text), word_weight(float8, float8),
    word_statistics(uuid, text[]), passages_with(uuid, tsquery, uuid[], integer),
    any_of(text[]), weightiest(uuid[], text[], integer, float8, integer, float8[]),
    passages_with_common(uuid, text[], float8[], uuid[], float8, integer),
    bm25(uuid[], text[], float8[], float8) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION as_question(regconfig, text) TO arqueduct_app;
