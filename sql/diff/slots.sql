-- Artifacts that live in slots, with the slot in terms of pairs.
--
-- in:   link and result of one repository, sync.pairs
-- out:  one row per artifact all of whose required ends are paired; ordinal counts within a slot and
--       configuration from the latest on, members counts all of them
-- key:  key
--
-- A pair may have further containers: they resolve to the pair of the first.
WITH ends AS (
{% for r in relations %}
  SELECT DISTINCT k.key, {{ r.field | lit }} AS field, t.pair
  FROM {{ r.link }} AS k
  JOIN sync.pairs AS t ON t.integration = {{ r.target | lit }} AND t.{{ side }}_key = k.target_key
  WHERE k.artifact = {{ artifact | lit }} AND k.relationship = {{ r.relationship | lit }}
    AND k.target_artifact = {{ r.target_artifact | lit }}
  {{ "UNION ALL" if not loop.last }}
{% endfor %}
), slots AS (
  SELECT
    key,
    CAST(string_agg(field || '=' || pair, '|' ORDER BY field, pair) AS VARCHAR) AS slot,
    max(CASE WHEN field = {{ container | lit }} THEN pair END) AS container
  FROM ends
  GROUP BY key
  HAVING count(DISTINCT field) = {{ relations | length }}
), configured AS (
  SELECT
    s.key, s.slot, s.container, coalesce(a.configuration, '') AS configuration,
    a.project, a.run_key, a.completed_at, a.started_at
  FROM slots AS s
  JOIN {{ relation }} AS a ON a.key = s.key
)
SELECT
  key, slot, container, configuration, project, run_key,
  CAST(row_number() OVER (
    PARTITION BY slot, configuration
    ORDER BY completed_at DESC NULLS LAST, started_at DESC NULLS LAST, character_length(key) DESC, key DESC
  ) AS BIGINT) AS ordinal,
  CAST(count(*) OVER (PARTITION BY slot, configuration) AS BIGINT) AS members
FROM configured
